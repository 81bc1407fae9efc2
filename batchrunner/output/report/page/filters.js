// Which tasks are shown, and in which order.

const MOST_LABELS = 400; // a label with more values is for the search field
const ORDERS = [
  ["plan", "Manifest order"], ["id", "By ID"], ["newest", "Newest first"], ["slowest", "Slowest first"],
  ["dearest", "Most expensive first"], ["state", "By state"], ...(films.size ? [["film", "By film"]] : []),
];

const VERDICT_FILTERS = [["keep", "Kept"], ["reject", "Rejected"], ["none", "No verdict"], ["note", "With a note"]];

const searchTexts = new WeakMap();
let chosenGroup = null; // of failures

function searchText(task) {
  if (!searchTexts.has(task)) {
    const labels = Object.entries(task.labels || {}).map(([name, value]) => `${name}=${value}`);
    const takes = task.takes.map((take) => `${take.remote || ""} ${take.file}`);
    const inputs = (task.inputs || []).map((input) => input.name);
    const parts = [task.id, task.prompt, task.model, task.code, task.message, task.key, ...labels, ...takes, ...inputs];
    searchTexts.set(task, parts.filter(Boolean).join("\n").toLowerCase());
  }
  return searchTexts.get(task);
}

// The value of a label in a list; empty if the task has no such label. Any name is allowed, `constructor` too.
const labelOf = (task, name) => (task.labels && Object.hasOwn(task.labels, name) ? [String(task.labels[name])] : []);

function fill(select, all, options) {
  select.replaceChildren(make("option", { value: "" }, all), ...options.map(([value, label]) => make("option", { value }, label)));
}

function fillFilters() {
  const count = (of) => {
    const found = new Map();
    for (const task of data.tasks) for (const value of of(task)) found.set(value, (found.get(value) || 0) + 1);
    return [...found];
  };
  const named = ([value, number], label = value) => [value, `${label} (${number.toLocaleString("en")})`];
  fill(byId("state"), "Any state", count((task) => [task.state]).map((pair) => named(pair, stateName(pair[0]))));
  fill(byId("model"), "Any model", count((task) => [task.model]).map((pair) => named(pair)));
  fill(byId("verdict"), "Any verdict", VERDICT_FILTERS);
  fill(byId("sort"), ...[ORDERS[0][1], ORDERS.slice(1)]);
  const shots = (key) => `${byKey.get(key).id} (${counted(films.get(key).length, "shot")})`;
  fill(byId("film"), "Any film", [...films.keys()].map((key) => [key, shots(key)]));
  byId("film").hidden = !films.size;
  const label = byId("label");
  fill(label, "Any label", []);
  const names = [...new Set(data.tasks.flatMap((task) => Object.keys(task.labels || {})))];
  for (const name of names) {
    const values = count((task) => labelOf(task, name));
    if (values.length > MOST_LABELS) continue;
    const options = values.sort((a, b) => compared(a[0], b[0])).map(([value, number]) =>
      make("option", { value: JSON.stringify([name, value]) }, `${value} (${number.toLocaleString("en")})`));
    label.append(make("optgroup", { label: name }, ...options));
  }
  label.hidden = !names.length;
  byId("model").hidden = byId("model").options.length <= 2;
}

// How many tasks each choice of verdicts shows. The list itself stays: it may be open.
function countVerdicts() {
  const numbers = new Map(VERDICT_FILTERS.map(([wanted]) => [wanted, data.tasks.filter((task) => hasVerdict(task, wanted)).length]));
  const labels = new Map(VERDICT_FILTERS);
  for (const option of byId("verdict").options) {
    if (option.value) option.textContent = `${labels.get(option.value)} (${numbers.get(option.value).toLocaleString("en")})`;
  }
  return numbers;
}

const collator = new Intl.Collator(undefined, { numeric: true });
const compared = (a, b) => collator.compare(a, b);

function chosenTasks() {
  const terms = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const state = byId("state").value, model = byId("model").value, verdict = byId("verdict").value;
  const label = byId("label").value ? JSON.parse(byId("label").value) : null;
  const keys = chosenGroup && new Set(chosenGroup.keys);
  const found = (films.get(byId("film").value) || data.tasks).filter((task) =>
    (!keys || keys.has(task.key)) && (!state || task.state === state) && (!model || task.model === model) &&
    (!label || labelOf(task, label[0])[0] === label[1]) &&
    (!verdict || hasVerdict(task, verdict)) && terms.every((term) => searchText(task).includes(term)));
  return sorted(found, byId("sort").value);
}

function hasVerdict(task, wanted) {
  const own = task.takes.map((take) => verdicts.of(task, take));
  if (wanted === "note") return own.some((verdict) => verdict.note);
  const current = verdicts.of(task, newestTake(task)).verdict;
  return wanted === "none" ? !current : current === wanted;
}

function sorted(tasks, order) {
  const newest = (task, name) => (newestTake(task) || {})[name];
  const descending = (name) => (a, b) => {
    const [x, y] = [newest(a, name), newest(b, name)];
    return x === y ? 0 : x === undefined ? 1 : y === undefined ? -1 : x < y ? 1 : -1;
  };
  const ways = new Map([
    ["id", (a, b) => compared(a.id, b.id)],
    ["state", (a, b) => compared(a.state, b.state)],
    ["film", (a, b) => (filmPlaces.get(a) ?? filmPlaces.size) - (filmPlaces.get(b) ?? filmPlaces.size)],
    ["newest", descending("collected")], ["slowest", descending("seconds")], ["dearest", descending("cost")],
  ]);
  return ways.has(order) ? [...tasks].sort(ways.get(order)) : tasks;
}
