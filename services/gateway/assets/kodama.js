// What makes the pages better where scripts run. Without it everything works too.

const URL_LENGTH = 23;
const URLS = /https?:\/\/[^\s<>"'、。「」『』（）]*[^\s<>"'、。「」『』（）.,;:!?)\]}…]/giu;
const CONTROLS = /[\x01-\x09\x0B-\x1F\x7F-\x9F\u2028\u2029]/g;
const DIRECTIONS = /[\n\u202A-\u202E\u2066-\u2069]/g;
const BLANKS = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const AROUND = new RegExp(`^${BLANKS}|${BLANKS}$`, "g");
const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

/** Drop the direction controls that are not closed on their line, or close nothing, as the server does. */
function balance(text) {
  const dropped = new Set();
  let open = [];
  for (const { 0: sign, index } of text.matchAll(DIRECTIONS)) {
    if (sign === "\n") {
      for (const [place] of open) dropped.add(place);
      open = [];
    } else if (sign !== "\u202C" && sign !== "\u2069") {
      open.push([index, sign >= "\u2066" ? "\u2069" : "\u202C"]);
    } else if (open.at(-1)?.[1] === sign) {
      open.pop();
    } else {
      dropped.add(index);
    }
  }
  for (const [place] of open) dropped.add(place);
  return dropped.size ? text.split("").filter((_, place) => !dropped.has(place)).join("") : text;
}

/** Count the characters of a status as the server does: graphemes after NFC, an address as 23 (docs/status_length_vectors.json). */
export function count(text) {
  const cleaned = balance(text.replace(/\r\n?/g, "\n").replace(CONTROLS, " ")).normalize("NFC").replace(AROUND, "");
  const addresses = cleaned.match(URLS)?.length ?? 0;
  let length = addresses * URL_LENGTH;
  for (const _ of graphemes.segment(cleaned.replace(URLS, ""))) length += 1;
  return length;
}

function showCount(area) {
  const output = area.form?.querySelector(".counter");
  if (!output) return;
  const left = Number(area.dataset.limit) - count(area.value);
  output.textContent = String(left);
  output.setAttribute("aria-label", `${left} ${output.dataset.words}`);
  output.classList.toggle("over", left < 0);
}

function prepare(root) {
  for (const area of root.querySelectorAll("textarea[data-limit]")) showCount(area);
}

document.addEventListener("input", (event) => {
  if (event.target.matches("textarea[data-limit]")) showCount(event.target);
});

// Ctrl+Enter sends, but never while an input method is composing: half a word is nobody's status.
let isComposing = false;
document.addEventListener("compositionstart", () => { isComposing = true; });
document.addEventListener("compositionend", () => { isComposing = false; });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("textarea")) return;
  if (event.isComposing || event.keyCode === 229 || isComposing) return;
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});
document.addEventListener("submit", (event) => {
  if (!isComposing || !event.target.querySelector("textarea")) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // htmx listens as well
}, true);

// A reply's form is replaced by the reply; the one for new statuses by an empty one.
document.addEventListener("htmx:afterSwap", (event) => {
  prepare(document);
  event.detail.target.querySelector?.("textarea")?.focus();
});
document.addEventListener("htmx:responseError", (event) => say(event.detail.xhr.responseText));
document.addEventListener("htmx:sendError", () => say("…"));

let silence;
function say(sentence) {
  const notice = document.getElementById("notice");
  notice.textContent = sentence.slice(0, 300);
  clearTimeout(silence);
  silence = setTimeout(() => { notice.textContent = ""; }, 8000);
}

/** Keep an eye on the home timeline: what is new gathers behind a button, so that nothing moves under the reader. */
class News {
  constructor(place) {
    this.place = place;
    this.link = place.querySelector("a");
    this.newest = BigInt(place.dataset.newest);
    this.waiting = new Set();
    this.link.addEventListener("click", (event) => this.show(event));
    document.addEventListener("visibilitychange", () => this.attend());
    this.attend();
  }

  attend() {
    if (document.hidden) {
      this.source?.close();
      this.source = undefined;
    } else if (!this.source) {
      this.source = new EventSource(`${this.place.dataset.live}?since_id=${this.newest}`);
      this.source.addEventListener("update", (event) => this.hear(event.data));
      this.source.addEventListener("delete", (event) => this.forget(event.data));
      this.source.addEventListener("status.update", (event) => this.renew(event.data));
    }
  }

  hear(id) {
    if (document.getElementById(`status-${id}`) || BigInt(id) <= this.newest) return;
    this.waiting.add(id);
    this.tell();
  }

  forget(id) {
    document.getElementById(`status-${id}`)?.remove();
    this.waiting.delete(id);
    this.tell();
  }

  renew(id) {
    if (document.getElementById(`status-${id}`)) {
      window.htmx.ajax("GET", `/statuses/${id}`, { target: `#status-${id}`, swap: "outerHTML" });
    }
  }

  tell() {
    this.place.hidden = this.waiting.size === 0;
    this.link.textContent = this.place.dataset.one.replace("%s", String(this.waiting.size));
  }

  async show(event) {
    event.preventDefault();
    for (const id of this.waiting) if (BigInt(id) > this.newest) this.newest = BigInt(id);
    const since = this.place.dataset.newest;
    this.place.dataset.newest = String(this.newest);
    this.waiting.clear();
    this.tell();
    for (const post of document.querySelectorAll("#timeline > .post")) {
      if (BigInt(post.dataset.id) > BigInt(since)) post.remove();
    }
    await window.htmx.ajax("GET", `/home/newer?since_id=${since}`, { target: "#timeline", swap: "afterbegin" });
    document.querySelector("#timeline .empty")?.remove();
    window.scrollTo({ top: 0 });
    document.querySelector("#timeline .post a.name")?.focus({ preventScroll: true });
  }
}

// No header says where a browser is; times are written for there from the next page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
if (/^[A-Za-z0-9_+\/-]{1,50}$/.test(zone)) document.cookie = `kodama_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax`;

const news = document.getElementById("news");
if (news && "EventSource" in window) window.addEventListener("load", () => new News(news));
prepare(document);
