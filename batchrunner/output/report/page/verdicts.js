// Verdicts: kept in the browser for each video of a run, and written out as a CSV.

const COLUMNS = ["run", "fingerprint", "id", "file_name", "verdict", "note"];
const VERDICT_WORDS = ["keep", "reject", ""];

class Verdicts {
  constructor(given) {
    this.place = `batchrunner.verdicts.${data.run}`;
    this.listeners = [];
    this.given = new Map(given.map((row) => [this.nameOf(row.run, row.fingerprint, row.file_name), row]));
    this.found = this.read();
    addEventListener("storage", (event) => {
      if (event.key !== this.place) return;
      this.found = this.read(); // another tab of the same report
      this.changed();
    });
  }

  nameOf(run, fingerprint, file) {
    return JSON.stringify([run || data.run, fingerprint, file]);
  }

  read() {
    const found = new Map(this.given);
    try {
      for (const row of JSON.parse(localStorage.getItem(this.place) || "[]")) {
        found.set(this.nameOf(row.run, row.fingerprint, row.file_name), row);
      }
    } catch {
      tell("This browser keeps nothing for this page: save your verdicts before you close it.");
      return this.found || found;
    }
    return found;
  }

  of(task, take) {
    return (take && this.found.get(this.nameOf(take.run, task.key, take.file))) || { verdict: "", note: "" };
  }

  set(task, take, change) {
    const name = this.nameOf(take.run, task.key, take.file);
    this.found = this.read(); // what another tab has written meanwhile stays
    const row = { run: take.run || data.run, fingerprint: task.key, id: task.id, file_name: take.file };
    this.found.set(name, { ...row, verdict: "", note: "", ...this.found.get(name), ...change });
    this.write();
  }

  take(rows) {
    for (const row of rows) this.found.set(this.nameOf(row.run, row.fingerprint, row.file_name), row);
    this.write();
  }

  write() {
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.found.values()]));
    } catch {
      tell("This browser can't keep your verdicts: save them before you close the page.");
    }
    this.changed();
  }

  changed() {
    for (const listener of this.listeners) listener();
  }

  rows() {
    return [...this.found.values()].filter((row) => row.verdict || row.note);
  }

  csv() {
    const lines = [COLUMNS, ...this.rows().map((row) => COLUMNS.map((name) => row[name] || ""))];
    return lines.map((cells) => cells.map(quoted).join(",") + "\r\n").join("");
  }
}

const quoted = (cell) => (/[",\r\n]|^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

// RFC 4180: the records of a CSV as objects. Spreadsheets may have written another delimiter.
function parsedCsv(text) {
  const first = text.split("\n", 1)[0];
  const delimiter = [",", ";", "\t"].reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best));
  const records = [[]];
  let cell = "", inQuotes = false, ended = false;
  const endCell = () => { records.at(-1).push(cell); cell = ""; };
  const source = text.replace(/^\ufeff/, "");
  for (let at = 0; at < source.length; at++) {
    const char = source[at];
    if (inQuotes) {
      if (char !== '"') cell += char;
      else if (source[at + 1] === '"') { cell += '"'; at++; }
      else inQuotes = false;
    } else if (char === '"' && cell === "") inQuotes = true;
    else if (char === delimiter) endCell();
    else if (char === "\n") { endCell(); records.push([]); }
    else if (char !== "\r") cell += char;
    ended = char === "\n" && !inQuotes;
  }
  if (ended) records.pop();
  else endCell();
  const header = records.shift().map((name) => name.trim().toLowerCase());
  const rows = records.filter((cells) => cells.some((cell) => cell.trim()));
  return rows.map((cells) => Object.fromEntries(header.map((name, index) => [name, cells[index] || ""])));
}

// The verdicts about videos of this page; fails if it is no such file, as `retry --from` would.
function verdictsIn(text) {
  const rows = parsedCsv(text);
  if (!rows.length || !["fingerprint", "file_name", "verdict"].every((name) => name in rows[0])) {
    throw new Error("it has no columns fingerprint, file_name and verdict");
  }
  const bad = rows.findIndex((row) => !VERDICT_WORDS.includes(row.verdict.trim().toLowerCase()));
  if (bad >= 0) throw new Error(`row ${bad + 1} says “${rows[bad].verdict}”, not keep or reject`);
  const known = new Set(data.tasks.flatMap((task) => task.takes.map((take) => verdicts.nameOf(take.run, task.key, take.file))));
  return rows.filter((row) => known.has(verdicts.nameOf(row.run, row.fingerprint, row.file_name))).map((row) => ({
    run: row.run || data.run, fingerprint: row.fingerprint, id: row.id || "", file_name: row.file_name,
    verdict: row.verdict.trim().toLowerCase(), note: row.note || "",
  }));
}

// Brings the buttons of a card or a player up to date.
function markVerdict(place, task, take) {
  const own = verdicts.of(task, take).verdict;
  place.querySelector(".yes")?.setAttribute("aria-pressed", String(own === "keep"));
  place.querySelector(".no")?.setAttribute("aria-pressed", String(own === "reject"));
}

function verdictButtons(task, take) {
  const own = verdicts.of(task, take);
  const button = (verdict, label, className) =>
    make("button", {
      type: "button", className, "aria-pressed": String(own.verdict === verdict),
      "aria-label": `${label} ${task.id}`,
      onclick: () => verdicts.set(task, take, { verdict: verdicts.of(task, take).verdict === verdict ? "" : verdict }),
    }, label);
  return make("div", { className: "verdicts", role: "group", "aria-label": "Verdict" },
    button("keep", "Keep", "yes"), button("reject", "Reject", "no"));
}
