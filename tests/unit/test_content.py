"""A request and its form: whatever is made from the form is what the whole request gives."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.content import Content, RequestForm, split
from batchrunner.core.model import Fit, MediaFile
from batchrunner.core.request import canonical, digest_form, inputs, normalise

PICTURE = MediaFile("/a/cat.png", "cat.png", "ab" * 32, "image/png", 10, 64, 48, Fit(32, 1000))
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20
) | st.sampled_from(["\\u0000prompt", '"\\u0000seed"', "data:x", "${a}", "\u2028"])
REQUESTS = st.fixed_dictionaries(
    {"model": TEXTS},
    optional={
        "prompt": TEXTS,
        "duration": st.integers(-1, 15),
        "image": st.sampled_from(
            [PICTURE, "data:image/png;base64,iVBORw0KGgo=", "https://example.com/a.png"]
        ),
        "metadata": st.fixed_dictionaries(
            {}, optional={"seed": st.integers(0, 2**31 - 1), "ratio": TEXTS, "callback_url": TEXTS}
        ),
    },
)


@given(request=REQUESTS)
def test_a_form_with_its_prompt_and_seed_is_the_request(request: dict[str, Any]) -> None:
    """The request, what is hashed, what is stored, and the inputs."""
    whole, content = normalise(request), split(request)
    assert content.request == whole
    assert content.canonical == canonical(whole)
    assert content.stored == json.dumps(digest_form(whole), ensure_ascii=False)
    assert json.loads(content.form.inputs) == list(inputs(whole))


@given(request=REQUESTS, prompt=TEXTS, seed=st.integers(0, 2**31 - 1))
def test_a_form_takes_any_prompt_and_seed(request: dict[str, Any], prompt: str, seed: int) -> None:
    """Two requests that differ only in these have forms that are interchangeable."""
    one = split({**request, "prompt": "a", "metadata": {**request.get("metadata", {}), "seed": 1}})
    other = {**request, "prompt": prompt, "metadata": {**request.get("metadata", {}), "seed": seed}}
    filled = Content(one.form, prompt, seed)
    assert (filled.request, filled.canonical) == (normalise(other), canonical(normalise(other)))


@given(request=REQUESTS)
def test_a_form_survives_as_text(request: dict[str, Any]) -> None:
    """Local files come back with everything that is known of them."""
    content = split(request)
    restored = content._replace(form=RequestForm.from_text(content.form.to_text()))
    assert restored.request == content.request
    assert restored.stored == content.stored
