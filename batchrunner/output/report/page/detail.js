// Everything about one task: its videos, two of them side by side, and what was asked for.

const LARGEST_DRIFT = 0.08; // seconds by which videos that play in step may differ

class Detail {
  constructor(dialog) {
    this.dialog = dialog;
    dialog.addEventListener("close", () => {
      dialog.replaceChildren(); // stops the videos
      grid.go(this.index);
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }

  show(index) {
    this.index = Math.max(0, Math.min(index, grid.tasks.length - 1));
    const task = this.task = grid.tasks[this.index];
    const step = (label, by) => make("button", {
      type: "button", "aria-label": label, title: label, disabled: !grid.tasks[this.index + by], onclick: () => this.show(this.index + by),
    }, by < 0 ? "‹" : "›");
    const title = words("h2", task.id);
    title.id = "detail-title";
    title.tabIndex = -1;
    this.dialog.replaceChildren(
      make("div", { className: "bar-top" }, step("Previous task", -1), step("Next task", 1), title,
        make("span", { className: `badge ${task.state}` }, stateName(task.state)),
        make("button", { type: "button", onclick: () => this.dialog.close() }, "Close")),
      make("div", { className: "columns" }, make("div", {}, ...this.players(task)), this.facts(task)));
    const own = String(task.takes.indexOf(newestTake(task))), players = [...this.dialog.querySelectorAll(".player")];
    if (players.length) this.choose(players.find((player) => player.dataset.take === own) || players[0]);
    if (!this.dialog.open) this.dialog.showModal();
    title.focus(); // so that no button takes the keys
    this.dialog.scrollTop = 0;
  }

  players(task) {
    const takes = task.takes;
    if (!takes.length) return [words("p", whyNoPicture(task))];
    if (takes.length === 1) return [make("div", { className: "players" }, this.player(task, takes[0]))];
    const right = Math.max(0, takes.indexOf(currentTake(task)));
    const left = right === 0 ? 1 : takes.findLastIndex((take, index) => index !== right);
    return this.sideBySide(task, takes, left < right ? [left, right] : [right, left]);
  }

  sideBySide(task, takes, chosen) {
    const places = chosen.map(() => make("div"));
    const inStep = make("input", { type: "checkbox", checked: true, id: "in-step" });
    const videos = () => places.map((place) => place.querySelector("video"));
    const put = (side, index) => {
      const options = takes.map((take, number) => make("option", { value: number, selected: number === index }, nameOf(take, takes)));
      const select = make("select", { onchange: (event) => put(side, Number(event.target.value)), "aria-label": side ? "Right video" : "Left video" }, ...options);
      const wasChosen = places[side].querySelector(".chosen");
      places[side].replaceChildren(select, this.player(task, takes[index]));
      if (wasChosen) this.choose(places[side].querySelector(".player"));
      const [a, b] = videos();
      if (a && b) keepInStep(a, b, () => inStep.checked);
    };
    chosen.forEach((index, side) => put(side, index));
    const play = () => {
      const [a, b] = videos().map((video) => video || {});
      const isPaused = a.paused;
      for (const video of [a, b]) if (video.play) { isPaused ? video.play() : video.pause(); }
    };
    return [
      make("div", { className: "bar-top" }, make("button", { type: "button", className: "both", onclick: play }, "Play or pause both"),
        inStep, make("label", { for: "in-step" }, "in step")),
      make("div", { className: "players" }, ...places)];
  }

  player(task, take) {
    const there = Boolean(take.url);
    const note = make("textarea", {
      value: verdicts.of(task, take).note || "", placeholder: "Note", "aria-label": "Note",
      oninput: (event) => verdicts.set(task, take, { note: event.target.value }), dir: "auto",
    });
    const figure = make("figure", { className: "player" },
      there ? make("video", { src: take.url, controls: true, loop: task.takes.length === 1, playsInline: true, preload: "metadata", "aria-label": `Video of ${task.id}` })
        : make("p", { className: "bad" }, `The file was ${take.problem}.`),
      make("figcaption", {}, make("div", {}, words("code", take.file)),
        take.problem && there ? make("div", { className: "bad" }, `The file was ${take.problem}.`) : null,
        make("div", { className: "soft" }, longFacts(take)), verdictButtons(task, take), note));
    // Before the file is loaded, its place is as large as afterwards: the buttons below it stay where they are.
    if (there && take.width && take.height) figure.querySelector("video").style.aspectRatio = `${take.width} / ${take.height}`;
    figure.dataset.take = task.takes.indexOf(take);
    for (const event of ["pointerdown", "focusin"]) figure.addEventListener(event, () => this.choose(figure));
    return figure;
  }

  // The keys are about this video.
  choose(figure) {
    for (const player of this.dialog.querySelectorAll(".player")) player.classList.toggle("chosen", player === figure);
  }

  facts(task) {
    const takes = task.takes, one = newestTake(task) || {};
    const row = (name, value) => (value === undefined || value === "" ? null : make("tr", {}, make("th", { scope: "row" }, name), words("td", String(value))));
    const shown = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
    const prompt = words("p", task.prompt || "(no prompt)", "prompt whole");
    prompt.tabIndex = 0; // a long one scrolls
    return make("div", {},
      make("h3", {}, "Prompt"), prompt,
      make("button", { type: "button", onclick: (event) => copy(task.prompt, event.target) }, "Copy"),
      ...this.inputs(task),
      ...relatives(task),
      task.code || task.message ? make("div", { className: "failure" }, make("strong", {}, task.code || ""), words("p", task.message || "")) : null,
      ...(task.warnings || []).map((warning) => words("p", `⚠ ${warning}`)),
      make("table", {}, make("tbody", {},
        row("Model", task.model),
        ...Object.entries(task.parameters || {}).map(([name, value]) => row(name, shown(value))),
        ...Object.entries(task.labels || {}).map(([name, value]) => row(`label ${name}`, shown(value))),
        row("Seed", one.seed), row("Tokens", one.tokens && one.tokens.toLocaleString("en")),
        row("Attempts", task.attempts), row("Submitted", one.submitted && moment(one.submitted)),
        row("Generated in", one.seconds === undefined ? "" : span(one.seconds)),
        row("Collected", one.collected && moment(one.collected)), row("Remote ID", one.remote), row("Account", one.account),
        row("From", task.source), row("Fingerprint", task.key),
        row("Manifest", task.unplanned ? "no longer contains this task" : ""))),
      commandLine(`${data.story} ${shellQuoted(task.id)}`));
  }

  inputs(task) {
    if (!task.inputs) return [];
    const shown = task.inputs.map((input) => make("figure", {},
      input.picture ? make("img", { src: input.picture, alt: "" }) : null, make("figcaption", {}, words("code", input.name))));
    return [make("h3", {}, task.inputs.length === 1 ? "Input" : "Inputs"), make("div", { className: "inputs" }, ...shown)];
  }

  // The video that the keys are about.
  take() {
    return this.task.takes[this.dialog.querySelector(".player.chosen")?.dataset.take];
  }
}

function nameOf(take, takes) {
  if (take.run) return `${take.runName}: ${take.file}`;
  const own = takes.filter((other) => !other.run);
  return `Version ${own.indexOf(take) + 1}${take.current ? " (current)" : ""}: ${take.file}`;
}

function longFacts(take) {
  const size = take.width ? `${take.width} × ${take.height}` : "";
  const length = take.duration === undefined ? "" : `${take.duration} s`;
  const cost = take.cost === undefined ? "" : money(take.cost, take.currency);
  return [length, size, take.fps ? `${take.fps} fps` : "", take.bytes ? megabytes(take.bytes) : "", cost].filter(Boolean).join(" · ");
}

// Whatever is done to one video is done to the other.
function keepInStep(a, b, isOn) {
  const follow = (from, to) => {
    const stillThere = () => isOn() && from.isConnected && to.isConnected;
    const align = () => { if (stillThere() && Math.abs(from.currentTime - to.currentTime) > LARGEST_DRIFT && !to.ended) to.currentTime = Math.min(from.currentTime, to.duration || Infinity); };
    from.addEventListener("play", () => { if (stillThere() && to.paused) { align(); to.play(); } });
    from.addEventListener("pause", () => { if (stillThere() && !from.ended && !to.paused) to.pause(); });
    from.addEventListener("seeking", align);
    from.addEventListener("ratechange", () => { if (stillThere() && to.playbackRate !== from.playbackRate) to.playbackRate = from.playbackRate; });
    return align;
  };
  const align = follow(a, b);
  follow(b, a);
  a.addEventListener("timeupdate", () => { if (!a.paused && !b.paused) align(); });
}

const shellQuoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

function commandLine(text, then = "") {
  return make("div", { className: "command" }, make("code", {}, text),
    make("button", { type: "button", onclick: (event) => copy(text, event.target) }, "Copy"), then);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not allowed for files in some browsers
    const area = make("textarea", { value: text });
    button.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
}
