// Verdicts: kept in the browser for each video of a run, and written out as a CSV.

const COLUMNS = ["run", "fingerprint", "id", "file_name", "verdict", "note"];
const VERDICT_WORDS = ["keep", "reject", ""];

const UNDECIDED = { verdict: "", note: "" };
const opinion = ({ verdict, note }) => ({ verdict, note });
const isSame = (a, b) => a.verdict === b.verdict && a.note === b.note;

class Verdicts {
  // `given` are the rows of the run directory's verdicts.csv, written at `writtenAt` (milliseconds; null: no such file).
  constructor(given, writtenAt) {
    this.place = `batchrunner.verdicts.${data.run}`;
    this.listeners = [];
    this.writtenAt = writtenAt;
    this.given = new Map(given.map((row) => [this.nameOf(row.run, row.fingerprint, row.file_name), row]));
    this.own = new Map();
    this.read();
    addEventListener("storage", (event) => {
      if (event.key !== this.place) return;
      this.read(); // another tab of the same report
      this.changed();
    });
  }

  nameOf(run, fingerprint, file) {
    return JSON.stringify([run || data.run, fingerprint, file]);
  }

  // The browser keeps only what was decided in it: what it copied from a file would hide what a newer file says.
  read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.place) || "[]").map((row) => [this.nameOf(row.run, row.fingerprint, row.file_name), row]);
      const newer = kept.filter(([name, row]) => this.isNewer(name, row));
      this.own = new Map(newer);
      if (newer.length < kept.length) this.keep();
    } catch {
      tell("This browser keeps nothing for this page: save your verdicts before you close it.");
    }
    this.found = new Map([...this.given, ...this.own]);
  }

  // Whether what was decided here is newer than what the file says. It is if the file says what it said then
  // (`base`: the same as when that was decided or last saved); if both have changed, the later change counts.
  isNewer(name, row) {
    if (this.writtenAt === null) return true;
    return isSame(this.given.get(name) || UNDECIDED, row.base || UNDECIDED) || row.at >= this.writtenAt;
  }

  of(task, take) {
    return (take && this.found.get(this.nameOf(take.run, task.key, take.file))) || UNDECIDED;
  }

  set(task, take, change) {
    const name = this.nameOf(take.run, task.key, take.file);
    this.read(); // what another tab has written meanwhile stays
    const before = this.found.get(name) || UNDECIDED;
    const base = this.own.has(name) ? this.own.get(name).base : opinion(before);
    const row = { run: take.run || data.run, fingerprint: task.key, id: task.id, file_name: take.file };
    this.own.set(name, { ...row, ...opinion(before), ...change, base, at: Date.now() });
    this.write();
  }

  // Takes rows from a file that was loaded by hand.
  take(rows) {
    this.read();
    for (const row of rows) this.own.set(this.nameOf(row.run, row.fingerprint, row.file_name), { ...row, base: opinion(row), at: Date.now() });
    this.write();
  }

  // Notes that a file has what is decided now.
  saved() {
    this.read();
    for (const row of this.own.values()) row.base = opinion(row);
    this.write();
  }

  write() {
    this.keep();
    this.found = new Map([...this.given, ...this.own]);
    this.changed();
  }

  keep() {
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.own.values()]));
    } catch {
      tell("This browser can't keep your verdicts: save them before you close the page.");
    }
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

// RFC 4180: the records of a CSV, each with its line and its cells by name. Spreadsheets may have written another delimiter.
function parsedCsv(text) {
  const first = text.split("\n", 1)[0];
  const delimiter = [",", ";", "\t"].reduce((best, one) => (first.split(one).length > first.split(best).length ? one : best));
  const records = [{ line: 1, cells: [] }];
  let cell = "", inQuotes = false, ended = false, line = 1;
  const endCell = () => { records.at(-1).cells.push(cell); cell = ""; };
  const source = text.replace(/^\ufeff/, "");
  for (let at = 0; at < source.length; at++) {
    const char = source[at];
    if (char === "\n") line++;
    if (inQuotes) {
      if (char !== '"') cell += char;
      else if (source[at + 1] === '"') { cell += '"'; at++; }
      else inQuotes = false;
    } else if (char === '"' && cell === "") inQuotes = true;
    else if (char === delimiter) endCell();
    else if (char === "\n") { endCell(); records.push({ line, cells: [] }); }
    else if (char !== "\r") cell += char;
    ended = char === "\n" && !inQuotes;
  }
  if (ended) records.pop();
  else endCell();
  const header = records.shift().cells.map((name) => name.trim().toLowerCase());
  const rows = records.filter(({ cells }) => cells.some((cell) => cell.trim()));
  return rows.map((row) => ({ line: row.line, cells: new Map(header.map((name, index) => [name, row.cells[index] || ""])) }));
}

// The verdicts about videos of this page; fails if it is no such file, as `retry --from` would.
function verdictsIn(text) {
  const rows = parsedCsv(text);
  if (!rows.length || !["fingerprint", "file_name", "verdict"].every((name) => rows[0].cells.has(name))) {
    throw new Error("it has no columns fingerprint, file_name and verdict");
  }
  const found = rows.map(({ line, cells }) => {
    const word = cells.get("verdict"), verdict = word.trim().toLowerCase();
    if (!VERDICT_WORDS.includes(verdict)) throw new Error(`line ${line} says “${word}”, not keep or reject`);
    return {
      run: cells.get("run") || data.run, fingerprint: cells.get("fingerprint"), id: cells.get("id") || "",
      file_name: cells.get("file_name"), verdict, note: cells.get("note") || "",
    };
  });
  const known = new Set(data.tasks.flatMap((task) => task.takes.map((take) => verdicts.nameOf(take.run, task.key, take.file))));
  return found.filter((row) => known.has(verdicts.nameOf(row.run, row.fingerprint, row.file_name)));
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
