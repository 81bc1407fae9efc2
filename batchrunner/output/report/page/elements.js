// Makes elements. Text is always set as text: nothing in the data can become markup.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "for" || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

// Text of the user or the model, which may be in any script and direction.
const words = (tag, text, className = "") => make(tag, { className: `words ${className}`, dir: "auto", lang: languageOf(text) }, text);

// Chinese, Japanese and Korean share characters that each draws in its own way.
function languageOf(text) {
  if (/[\u3040-\u30ff]/.test(text)) return "ja";
  if (/[\uac00-\ud7af]/.test(text)) return "ko";
  return /[\u3400-\u9fff]/.test(text) ? "zh" : "";
}

const stateName = (state) => state.replace("_", " ");
const counted = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
const two = (number) => String(number).padStart(2, "0");

function moment(time) {
  const at = new Date(time);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds * 10) / 10} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

function money(amount, currency) {
  const digits = Math.abs(amount) < 0.1 ? 4 : 2;
  return `${amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: digits })} ${currency || ""}`.trim();
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

const currentTake = (task) => task.takes.find((take) => take.current && !take.run) || task.takes.findLast((take) => !take.run);
const newestTake = (task) => currentTake(task) || task.takes.at(-1);
