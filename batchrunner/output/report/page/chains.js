// Tasks that are made from each other: shots, the films that they make, and what else a task needs.

const byKey = new Map(data.tasks.map((task) => [task.key, task]));
const MOST_RELATED = 20; // a picture that a thousand tasks need must not fill the page

// The tasks on this page that name another one, by that one's key.
function whoNames(keysOf) {
  const found = new Map();
  for (const task of data.tasks) {
    for (const key of keysOf(task)) found.has(key) ? found.get(key).push(task) : found.set(key, [task]);
  }
  return (task) => found.get(task.key) || [];
}

const previousShot = (task) => byKey.get(task.previous);
const nextShots = whoNames((task) => (task.previous ? [task.previous] : []));
const otherNeeds = (task) => (task.needs || []).filter((key) => key !== task.previous);
const neededBy = whoNames(otherNeeds);

// The shots of the film that ends with this one, in order.
function filmOf(last) {
  const shots = [];
  for (let shot = last; shot; shot = previousShot(shot)) shots.push(shot);
  return shots.reverse();
}

const films = new Map(data.films.map((key) => [key, filmOf(byKey.get(key))]));

const filmPlaces = new Map(); // of each shot where films follow one another
for (const shot of [...films.values()].flat()) if (!filmPlaces.has(shot)) filmPlaces.set(shot, filmPlaces.size);

function shotButton(label, task, shown = label) {
  return make("button", {
    type: "button", className: "shot", "aria-label": `${label}: ${task.id}`, title: task.id, onclick: () => goToTask(task),
  }, shown);
}

// On a card: the shot before, and the first of those after.
function shotLinks(task) {
  if (!films.size) return null;
  const before = previousShot(task), [after] = nextShots(task);
  return make("div", { className: "shots" },
    before ? shotButton("Previous shot", before, "‹ Previous shot") : make("span"), after ? shotButton("Next shot", after, "Next shot ›") : null);
}

// Beside a video: all of them, by name, and what else is needed.
function relatives(task) {
  const groups = [
    ["Previous shot", [previousShot(task)]], ["Next shot", nextShots(task)],
    ["Needs", otherNeeds(task).map((key) => byKey.get(key))], ["Needed by", neededBy(task)],
  ];
  return groups.map(([label, tasks]) => [label, tasks.filter(Boolean)]).filter(([, tasks]) => tasks.length).map(([label, tasks]) => {
    const more = tasks.length - MOST_RELATED;
    return make("p", { className: "related" }, `${label}: `, ...tasks.slice(0, MOST_RELATED).map((other) => shotButton(label, other, other.id)),
      more > 0 ? `and ${more.toLocaleString("en")} more` : "");
  });
}

// Shows a task, in the same way as the one before: its card, or everything about it.
function goToTask(task) {
  const isOpen = byId("detail").open;
  const go = () => {
    const index = grid.tasks.indexOf(task);
    if (isOpen) detail.show(index);
    else grid.go(index);
  };
  if (grid.tasks.includes(task)) go();
  else {
    byId("filters").reset(); // they hide it
    setTimeout(go); // after the reset has shown everything
  }
}

function goToShot(task, isNext) {
  const other = task && (isNext ? nextShots(task)[0] : previousShot(task));
  tell(other || !task ? "" : `${task.id} has no ${isNext ? "next" : "previous"} shot.`);
  if (other) goToTask(other);
}
