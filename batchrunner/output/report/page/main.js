// Brings the parts together.

function tell(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

const broken = new Set(data.broken);
const verdicts = new Verdicts(data.verdicts, data.verdicts_at);
const grid = new Grid(byId("grid"));
const detail = new Detail(byId("detail"));

function showSummary() {
  byId("title").textContent = data.name;
  const states = new Map();
  for (const task of data.tasks) states.set(task.state, (states.get(task.state) || 0) + 1);
  const counts = [...states].map(([state, number]) => `${number.toLocaleString("en")} ${stateName(state)}`).join(", ");
  const parts = [counted(data.tasks.length, "task") + (counts ? `: ${counts}` : ""), data.spent, `made ${moment(data.made)}`];
  if (data.simulated) parts.unshift("Simulated gateway");
  byId("summary").replaceChildren(parts.join(" · "));
}

const MOST_OPEN = 2; // more groups of failures would hide the videos

function showFailures() {
  const section = byId("failures");
  if (!data.failures.length) return;
  section.hidden = false;
  const total = data.failures.reduce((sum, group) => sum + group.count, 0);
  section.open = data.failures.length <= MOST_OPEN;
  section.append(make("summary", {}, make("h2", {}, `${counted(total, "task")} need${total === 1 ? "s" : ""} attention`)));
  for (const group of data.failures) {
    const more = group.count - group.ids.length;
    section.append(make("div", { className: "failure" },
      make("div", {}, make("strong", {}, `${group.count.toLocaleString("en")} × ${group.code || stateName(group.state)}`), " ",
        make("span", { className: `badge ${group.state}` }, stateName(group.state)), " ",
        make("button", { type: "button", onclick: () => showGroup(group) }, "Show")),
      make("p", {}, `${group.meaning} ${group.advice}`),
      group.message ? make("p", { className: "soft" }, "The first one: ", words("span", group.message)) : null,
      make("p", { className: "soft" }, words("span", group.ids.join(", ")), more > 0 ? ` and ${more.toLocaleString("en")} more` : ""),
      group.command ? commandLine(group.command, group.then) : null));
  }
}

function showGroup(group) {
  byId("filters").reset();
  setTimeout(() => { chosenGroup = group; showGrid(); }); // after the reset has shown everything
  byId("filters").scrollIntoView();
}

function showGrid() {
  grid.show(chosenTasks());
  byId("shown").textContent = (chosenGroup ? `${chosenGroup.code || stateName(chosenGroup.state)}: ` : "") + (grid.tasks.length === data.tasks.length ? counted(data.tasks.length, "task")
    : `${grid.tasks.length.toLocaleString("en")} of ${counted(data.tasks.length, "task")}`);
  byId("nothing").hidden = grid.tasks.length > 0;
}

function showVerdicts() {
  const rows = verdicts.rows(), numbers = countVerdicts();
  const kept = numbers.get("keep"), rejected = numbers.get("reject");
  const others = rows.filter((row) => row.verdict).length - kept - rejected;
  const parts = [`${kept.toLocaleString("en")} kept`, `${rejected.toLocaleString("en")} rejected`];
  if (others > 0) parts.push(`${others.toLocaleString("en")} on other versions`);
  byId("verdict-counts").textContent = parts.join(", ");
  byId("save").disabled = !rows.length;
  for (const [index, card] of grid.cards) grid.mark(card, grid.tasks[index]);
  for (const player of byId("detail").querySelectorAll(".player")) markVerdict(player, detail.task, detail.task.takes[player.dataset.take]);
}

function save() {
  const link = make("a", { href: URL.createObjectURL(new Blob([verdicts.csv()], { type: "text/csv" })), download: "verdicts.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  verdicts.saved();
  say("Saved as verdicts.csv. To make the rejected videos again, type this and run the manifest again, which pays for them:", commandLine(data.again));
}

function say(...parts) {
  tell("");
  byId("saved").replaceChildren(...parts);
  byId("saved").hidden = false;
}

async function load(event) {
  const [file] = event.target.files;
  try {
    const text = await file.text(), rows = verdictsIn(text), others = parsedCsv(text).length - rows.length;
    verdicts.take(rows);
    say(`${counted(rows.length, "verdict")} loaded from ${file.name}`, others ? `; ${counted(others, "row")} about videos that this page doesn't show` : "");
  } catch (error) {
    byId("saved").hidden = true;
    tell(`${file.name} has no verdicts of this report: ${error.message}.`);
  }
  event.target.value = "";
}

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
  try { localStorage.setItem("batchrunner.theme", theme); } catch { /* it is chosen again next time */ }
}

function savedTheme() {
  try { return THEMES.includes(localStorage.getItem("batchrunner.theme")) ? localStorage.getItem("batchrunner.theme") : "auto"; } catch { return "auto"; }
}

const chosenTask = () => (byId("detail").open ? detail.task : grid.tasks[grid.current]);

function setVerdict(verdict) {
  const task = chosenTask(), take = byId("detail").open ? detail.take() : task && newestTake(task);
  if (take) verdicts.set(task, take, { verdict });
}

// The next task whose video has no verdict, of those that are shown; after the last one comes the first.
function goOn() {
  const isOpen = byId("detail").open, from = isOpen ? detail.index : grid.current, number = grid.tasks.length;
  const later = Array.from({ length: number }, (_, step) => (from + 1 + step) % number);
  const next = later.find((index) => newestTake(grid.tasks[index]) && hasVerdict(grid.tasks[index], "none"));
  tell(next === undefined ? "All videos shown here have a verdict." : "");
  if (next === undefined) return;
  if (isOpen) detail.show(next);
  else grid.go(next);
}

function writeNote() {
  if (!byId("detail").open) detail.show(grid.current);
  byId("detail").querySelector(".player.chosen textarea")?.focus();
}

function playOrPause() {
  if (byId("detail").open) {
    const both = byId("detail").querySelector(".both"), video = byId("detail").querySelector("video");
    if (both) both.click();
    else if (video) video.paused ? video.play() : video.pause();
    return;
  }
  const cell = grid.cards.get(grid.current)?.querySelector(".cell"), take = newestTake(grid.tasks[grid.current] || { takes: [] });
  if (!cell || !take || !take.url) return;
  const isPlaying = cell.querySelector("video");
  for (const other of byId("grid").querySelectorAll(".cell")) stopIn(other);
  if (!isPlaying) playIn(cell, take);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target, isOpen = byId("detail").open;
  if (target.matches("input, select, textarea") || byId("help").open) return;
  const isControl = target.matches("button:not(.open), summary, video, a");
  const steps = new Map([
    ["ArrowLeft", -1], ["ArrowRight", 1], ["ArrowUp", -grid.columns], ["ArrowDown", grid.columns], ["Home", -Infinity], ["End", Infinity],
  ]);
  const actions = new Map([
    ["/", () => { if (!isOpen) byId("text").focus(); }], ["?", () => byId("help").showModal()],
    ["k", () => setVerdict("keep")], ["r", () => setVerdict("reject")], ["u", () => setVerdict("")], ["n", writeNote], ["j", goOn],
    [",", () => goToShot(chosenTask(), false)], [".", () => goToShot(chosenTask(), true)],
  ]);
  if (!isControl) actions.set(" ", playOrPause);
  const step = steps.get(event.key);
  if (step && !target.matches("video, .whole")) {
    if (isOpen && Math.abs(step) === 1) detail.show(detail.index + step);
    else if (!isOpen && (target.matches(".open") || target === document.body) && grid.tasks.length) {
      grid.go(Math.max(0, Math.min(grid.tasks.length - 1, target === document.body ? grid.current : grid.current + step)));
    } else return;
  } else if (actions.has(event.key)) actions.get(event.key)();
  else return;
  event.preventDefault();
}

setTheme(savedTheme());
showSummary();
showFailures();
showCharts();
fillFilters();
showGrid();
verdicts.listeners.push(showVerdicts);
showVerdicts();
byId("filters").addEventListener("input", showGrid);
byId("filters").addEventListener("reset", () => { chosenGroup = null; setTimeout(showGrid); });
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("save").addEventListener("click", save);
byId("load").addEventListener("change", load);
byId("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % 3]));
byId("help-open").addEventListener("click", () => byId("help").showModal());
document.addEventListener("keydown", pressed);
