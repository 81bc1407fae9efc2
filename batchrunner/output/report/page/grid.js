// The contact sheet. Only cards near the window exist, so that ten thousand scroll as smoothly as ten.

const GAP = 14, LEAST_WIDTH = 250, FACTS = films.size ? 154 : 128, AHEAD = 2; // pixels; rows kept ready above and below

class Grid {
  constructor(element) {
    this.element = element;
    this.tasks = [];
    this.cards = new Map();
    this.current = 0;
    let isDue = false;
    const soon = () => {
      if (isDue) return;
      isDue = true;
      requestAnimationFrame(() => { isDue = false; this.draw(); });
    };
    addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(() => this.measure()).observe(element);
  }

  show(tasks) {
    this.tasks = tasks;
    this.current = Math.min(this.current, Math.max(0, tasks.length - 1));
    this.clear();
    this.measure();
  }

  clear() {
    for (const card of this.cards.values()) card.remove();
    this.cards.clear();
  }

  measure() {
    const width = this.element.clientWidth;
    if (!width) return;
    this.columns = Math.max(1, Math.floor((width + GAP) / (LEAST_WIDTH + GAP)));
    this.width = Math.floor((width - GAP * (this.columns - 1)) / this.columns);
    this.large = Math.round(this.width * 9 / 16);
    this.small = Math.round((this.width - 3) / 2 * 9 / 16);
    this.height = this.large + this.small + FACTS + 3;
    this.rows = Math.ceil(this.tasks.length / this.columns);
    this.element.style.height = `${Math.max(0, this.rows * (this.height + GAP) - GAP)}px`;
    const [chosen] = [...this.cards].find(([, card]) => card.contains(document.activeElement)) || [];
    this.clear();
    this.draw();
    if (chosen !== undefined) this.go(chosen); // it keeps the focus
  }

  draw() {
    if (!this.columns) return;
    const top = this.element.getBoundingClientRect().top, step = this.height + GAP;
    const first = Math.max(0, Math.floor(-top / step) - AHEAD) * this.columns;
    const last = Math.min(this.tasks.length, (Math.ceil((innerHeight - top) / step) + AHEAD) * this.columns);
    for (const [index, card] of this.cards) {
      if ((index < first || index >= last) && !card.contains(document.activeElement)) {
        card.remove();
        this.cards.delete(index);
      }
    }
    for (let index = first; index < last; index++) if (!this.cards.has(index)) this.add(index);
  }

  add(index) {
    const card = this.card(this.tasks[index], index);
    card.style.left = `${(index % this.columns) * (this.width + GAP)}px`;
    card.style.top = `${Math.floor(index / this.columns) * (this.height + GAP)}px`;
    card.style.width = `${this.width}px`;
    card.style.height = `${this.height}px`;
    // In the order of the tasks, for those who go from one to the next with the Tab key or a screen reader.
    const next = [...this.cards.keys()].filter((other) => other > index);
    this.element.insertBefore(card, next.length ? this.cards.get(Math.min(...next)) : null);
    this.cards.set(index, card);
  }

  card(task, index) {
    const take = newestTake(task);
    const open = make("button", { type: "button", className: "open", onclick: () => detail.show(index), onfocus: () => { this.current = index; } },
      ...this.pictures(task, take));
    open.dir = "auto";
    const versions = task.takes.length > 1 ? make("span", { className: "badge soft" }, counted(task.takes.length, "video")) : null;
    const card = make("li", { "aria-posinset": index + 1, "aria-setsize": this.tasks.length },
      open,
      make("div", { className: "facts" },
        make("div", {}, words("span", task.id, "name"), versions,
          make("span", { className: `badge ${task.state}` }, stateName(task.state))),
        make("div", { className: "text" }, words("span", task.prompt, "prompt"), ...thumbs(task)),
        make("div", {}, take ? verdictButtons(task, take) : null,
          words("span", "", "line soft")),
        shotLinks(task)));
    this.mark(card, task);
    return card;
  }

  pictures(task, take) {
    const picture = take && take.picture && !broken.has(take.picture) ? take.picture : "";
    const large = make("div", { className: "cell" });
    const pair = [make("div", { className: "cell" }), make("div", { className: "cell" })];
    large.style.height = `${this.large}px`;
    for (const cell of pair) cell.style.height = `${this.small}px`;
    if (picture) {
      [large, ...pair].forEach((cell, index) => cell.append(frame(take, picture, index)));
    } else {
      large.append(words("span", whyNoPicture(task, take), "empty"));
    }
    if (take && take.url) playOnHover(large, take);
    return [large, make("div", { className: "pair" }, ...pair)];
  }

  // Brings a card's verdict up to date; a video that plays in it goes on.
  mark(card, task) {
    const take = newestTake(task), { verdict, note } = verdicts.of(task, take);
    card.className = `card ${verdict}`;
    card.querySelector(".open").setAttribute("aria-label", `${task.id}, ${stateName(task.state)}${verdict ? `, ${verdict}` : ""}: ${task.prompt.slice(0, 120)}`);
    card.querySelector(".line").textContent = note || (take ? shortFacts(take) : "");
    markVerdict(card, task, take);
  }

  go(index) {
    this.current = Math.max(0, Math.min(index, this.tasks.length - 1));
    const top = this.element.getBoundingClientRect().top + scrollY + Math.floor(this.current / this.columns) * (this.height + GAP);
    const bar = byId("filters").offsetHeight + GAP;
    if (top - bar < scrollY) scrollTo({ top: top - bar });
    else if (top + this.height + GAP > scrollY + innerHeight) scrollTo({ top: top + this.height + GAP - innerHeight });
    this.draw();
    this.cards.get(this.current)?.querySelector(".open").focus({ preventScroll: true });
  }
}

function whyNoPicture(task, take) {
  if (take) return take.problem || "no picture: the file can't be decoded";
  return task.message || task.code ? [task.code, task.message].filter(Boolean).join(": ").slice(0, 160) : stateName(task.state);
}

// One of the three frames in a video's picture.
function frame(take, picture, index) {
  const element = make("div", { className: "frame" });
  const aspect = (take.width || 16) / (take.height || 9);
  element.style.aspectRatio = String(aspect);
  element.style[aspect >= 16 / 9 ? "width" : "height"] = "100%";
  element.style.backgroundImage = `url("${picture}")`;
  element.style.backgroundPosition = `${index * 50}% 0`;
  return element;
}

function thumbs(task) {
  return (task.inputs || []).filter((input) => input.picture).slice(0, 2).map((input) =>
    make("img", { className: "thumb", src: input.picture, alt: input.name, title: input.name, loading: "lazy" }));
}

function shortFacts(take) {
  const cost = take.cost === undefined ? "" : money(take.cost, take.currency);
  const length = take.duration === undefined ? "" : `${Math.round(take.duration * 10) / 10} s`;
  return [length, take.width ? `${take.width}×${take.height}` : "", cost].filter(Boolean).join(" · ");
}

const isStill = matchMedia("(prefers-reduced-motion: reduce)");

function playOnHover(cell, take) {
  let waiting;
  cell.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse" && !isStill.matches) waiting = setTimeout(() => playIn(cell, take), 120);
  });
  cell.addEventListener("pointerleave", () => { clearTimeout(waiting); stopIn(cell); });
}

function playIn(cell, take) {
  if (cell.querySelector("video")) return;
  const video = make("video", { src: take.url, muted: true, loop: true, playsInline: true });
  cell.append(video);
  video.play().catch(() => stopIn(cell)); // removed before it could begin
}

function stopIn(cell) {
  const video = cell.querySelector("video");
  if (!video) return;
  video.removeAttribute("src");
  video.load(); // lets go of the file
  video.remove();
}
