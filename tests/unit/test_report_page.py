"""The page's template: data stays data, and the policy names exactly the page's own script and style."""

import base64
import hashlib
import json
import re

from batchrunner.output.report.page import page_of

HOSTILE = {
    "a": "</script><script>alert(1)</script>",
    "b": "{{script}}{{policy}}",
    "c": "<!--",
    "d": "\u2028'\"&",
}


def test_data_is_json_without_markup():
    """Nothing in the data ends the element that carries it, or is filled in as a part of the template."""
    page = page_of("<i>{{data}}</i>", HOSTILE)
    (text,) = re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(text) == HOSTILE
    assert "<" not in text
    assert "<title>&lt;i&gt;{{data}}&lt;/i&gt;</title>" in page
    assert page.count("<script") == 2


def test_policy_allows_its_own_script_and_style_alone():
    """The hashes in the policy are those of the elements, and nothing is allowed inline or from elsewhere."""
    page = page_of("x", {})
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for element in (script, style):
        digest = base64.b64encode(hashlib.sha256(element.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; ")
    assert not re.search(r"unsafe|https?:|\*", policy)
    assert "innerHTML" not in script
    assert "eval(" not in script
