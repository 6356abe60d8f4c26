// A log of any length, seen through a window of a few rows: lines have one height, are fetched by range as they come into
// sight, and the rest of the scroll bar is empty space. Long ones wrap only when asked to; then a row is as tall as it needs
// and the bar still counts lines.
//
// Follow is switched off by the reader's own scroll alone, never by what arrives; the end switches it on again.

import { paint } from "./ansi.js";
import { clockTime } from "./times.js";

const LINE = 20; // px, as in the style sheet
const PAGE = 500; // lines fetched at once
const MOST_PAGES = 40;
const BEYOND = 20; // rows kept ready above and below
const TALLEST = 16_000_000; // px: browsers draw nothing beyond; a longer log moves faster than the bar
const AGAIN_AFTER = 1000; // ms after a fetch that failed
const MARKS = { error: "err", critical: "err", warning: "wrn" };
const RANGE = /^#L(\d+)(?:-L?(\d+))?$/;

export function open(section) {
  const body = section.querySelector("[role=log]");
  const pill = section.querySelector(".logs__pill");
  const count = document.getElementById("log-count");
  const follow = section.querySelector("[name=follow]");
  const pages = new Map(); // number of the page → its lines; the one used last comes last
  const fetching = new Set();
  const rows = new Map(); // number of the line → its row
  const sizer = document.createElement("span");
  const view = document.createElement("span");
  let total = Number(section.dataset.last);
  let read = total; // how many lines there were when the reader left the end
  let marked = range();
  let following = !marked;
  let byHand = false;
  let painted = false;

  sizer.className = "logs__sizer";
  view.className = "logs__rows";
  sizer.append(view);

  // ---------------------------------------------------------------------------------------------- where things are

  const tall = () => total * LINE;
  const scale = () => (tall() > TALLEST ? (tall() - body.clientHeight) / (TALLEST - body.clientHeight) : 1);
  const wraps = () => section.classList.contains("is-wrapped");
  const atEnd = () => body.scrollHeight - body.scrollTop - body.clientHeight < LINE;

  function toEnd() {
    body.scrollTop = body.scrollHeight;
  }

  function toLine(n) {
    body.scrollTop = Math.max((n - 1) * LINE - body.clientHeight / 3, 0) / scale();
  }

  // ---------------------------------------------------------------------------------------------- fetching

  function line(n) {
    const page = pages.get(Math.floor((n - 1) / PAGE));
    return page?.[(n - 1) % PAGE];
  }

  function need(from, to) {
    const first = Math.floor(from / PAGE);
    for (let number = first; number * PAGE < to; number++) {
      const have = pages.get(number)?.length ?? 0;
      if (have < Math.min(PAGE, total - number * PAGE)) fetchPage(number);
    }
  }

  async function fetchPage(number) {
    if (fetching.has(number)) return;
    fetching.add(number);
    const had = pages.get(number) ?? [];
    const after = number * PAGE + had.length;
    try {
      const answer = await fetch(`${section.dataset.log}?after=${after}&limit=${PAGE - had.length}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const { last, lines } = await answer.json();
      pages.delete(number);
      pages.set(number, [...had, ...lines]);
      for (const old of pages.keys()) if (pages.size > MOST_PAGES && old !== number) pages.delete(old);
      fetching.delete(number);
      grow(last);
      draw();
    } catch {
      setTimeout(() => (fetching.delete(number), draw()), AGAIN_AFTER);
    }
  }

  // ---------------------------------------------------------------------------------------------- drawing

  function draw() {
    if (!total) return;
    const from = Math.floor((body.scrollTop * scale()) / LINE);
    const many = Math.ceil(body.clientHeight / LINE) + 1;
    const first = wraps() ? Math.min(from, Math.max(total - many, 0)) : Math.max(from - BEYOND, 0);
    const last = Math.min(total, from + many + BEYOND);
    need(first, last);
    if (!painted && !line(last)) return; // what the server drew stands until there is something better
    if (!painted) takeOver();
    sizer.style.height = `${Math.min(tall(), TALLEST)}px`;
    show(first, last);
    place(from, first);
  }

  function takeOver() {
    painted = true;
    body.replaceChildren(sizer);
    section.classList.add("is-windowed");
    sizer.style.height = `${Math.min(tall(), TALLEST)}px`;
    if (marked) toLine(marked[0]);
    else toEnd();
    requestAnimationFrame(draw);
  }

  function show(first, last) {
    for (const [n, row] of rows) {
      if (n > first && n <= last && (row.dataset.line || !line(n))) continue;
      row.remove();
      rows.delete(n);
    }
    let before = view.firstChild;
    for (let n = first + 1; n <= last; n++) {
      const row = rows.get(n) ?? made(n);
      if (begins(n)) row.lastElementChild.dataset.attempt = `attempt ${line(n).attempt}`;
      if (row !== before) view.insertBefore(row, before);
      else before = before.nextSibling;
    }
  }

  function place(from, first) {
    const part = (body.scrollTop * scale()) % LINE;
    let top = body.scrollTop - (from - first) * LINE - part;
    if (wraps()) top = atEnd() ? body.scrollTop + body.clientHeight - view.offsetHeight : body.scrollTop;
    view.style.transform = `translateY(${Math.max(top, 0)}px)`;
  }

  // Whether an attempt begins with this line, after another one's.
  function begins(n) {
    return line(n) && line(n - 1) && line(n).attempt !== line(n - 1).attempt;
  }

  function made(n) {
    const said = line(n);
    const row = document.createElement("div");
    const [number, time, level, text] = ["a", "span", "span", "span"].map((name) => document.createElement(name));
    number.className = "n";
    number.href = `#L${n}`;
    number.textContent = n.toLocaleString();
    time.className = "ts";
    level.className = "lv";
    text.className = "tx";
    row.append(number, time, level, text);
    row.className = [MARKS[said?.level] ?? "", isMarked(n) ? "is-marked" : ""].join(" ").trim();
    rows.set(n, row);
    if (!said) return row; // without its number: it is made again when the line is here
    row.id = `L${n}`;
    row.dataset.line = n;
    time.textContent = clockTime(said.at);
    level.textContent = said.level;
    paint(text, said.text);
    return row;
  }

  // ---------------------------------------------------------------------------------------------- growing and following

  function grow(last) {
    if (!(last > total)) return;
    total = last;
    count.textContent = total === 1 ? "1 line" : `${total.toLocaleString()} lines`;
    if (painted) {
      sizer.style.height = `${Math.min(tall(), TALLEST)}px`;
      if (following) toEnd();
    }
    tell();
    draw();
  }

  function end() {
    delete section.dataset.live;
    const quiet = total ? null : body.querySelector(".quiet");
    if (quiet) quiet.textContent = "It wrote nothing.";
  }

  function setFollow(on) {
    following = on;
    follow.checked = on;
    read = total;
    if (on) toEnd();
    tell();
    draw();
  }

  function tell() {
    const more = total - read;
    pill.hidden = following || more <= 0;
    pill.textContent = `${more.toLocaleString()} new ${more === 1 ? "line" : "lines"} ↓`;
  }

  // ---------------------------------------------------------------------------------------------- links to lines

  function range() {
    const found = RANGE.exec(location.hash);
    if (!found) return null;
    const [from, to] = [Number(found[1]), Number(found[2] ?? found[1])];
    return [Math.min(from, to), Math.max(from, to)];
  }

  function isMarked(n) {
    return marked !== null && n >= marked[0] && n <= marked[1];
  }

  function mark() {
    for (const [n, row] of rows) row.classList.toggle("is-marked", isMarked(n));
  }

  function jump() {
    marked = range();
    if (!marked) return;
    setFollow(false);
    section.scrollIntoView({ block: "nearest" });
    toLine(marked[0]);
    draw();
    mark();
  }

  function point(event) {
    const link = event.target.closest("a.n");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const n = Number(link.hash.slice(2));
    const from = event.shiftKey && marked ? marked[0] : n;
    const [first, last] = [Math.min(from, n), Math.max(from, n)];
    history.replaceState(history.state, "", first === last ? `#L${first}` : `#L${first}-L${last}`);
    marked = [first, last];
    mark();
  }

  // ---------------------------------------------------------------------------------------------- the reader's hand

  let rest = 0;

  function touched() {
    byHand = true;
    clearTimeout(rest);
    rest = setTimeout(() => (byHand = false), 1000); // a wheel and a finger run on for a while
  }

  function scrolled() {
    if (byHand && following && !atEnd()) setFollow(false);
    else if (byHand && !following && atEnd()) setFollow(true);
    draw();
  }

  function wheel(event) {
    touched();
    if (scale() === 1 || event.shiftKey || event.deltaMode) return;
    event.preventDefault();
    body.scrollTop += event.deltaY / scale();
  }

  function key(event) {
    if (["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "].includes(event.key)) touched();
    if (event.key === "End") {
      event.preventDefault();
      setFollow(true);
    }
  }

  body.addEventListener("wheel", wheel, { passive: false });
  body.addEventListener("touchmove", touched, { passive: true });
  body.addEventListener("pointerdown", (event) => event.target === body && touched());
  body.addEventListener("pointermove", (event) => event.target === body && event.buttons && touched());
  body.addEventListener("keydown", key);
  body.addEventListener("scroll", scrolled, { passive: true });
  body.addEventListener("click", point);
  pill.addEventListener("click", () => (setFollow(true), body.focus()));
  section.addEventListener("change", ({ target }) => {
    if (target.name === "follow") setFollow(target.checked);
    if (target.name === "times") section.classList.toggle("is-timeless", !target.checked);
    if (target.name === "wrap") section.classList.toggle("is-wrapped", target.checked);
    if (target.name === "wrap" && following) toEnd();
    draw();
  });
  addEventListener("hashchange", jump);
  new ResizeObserver(draw).observe(body);
  for (const toggle of section.querySelectorAll(".toggle")) {
    toggle.hidden = toggle.contains(follow) && section.dataset.live === undefined;
  }
  follow.checked = following;
  if (marked) section.scrollIntoView({ block: "nearest" });
  if (marked && total) need(Math.max(marked[0] - PAGE, 0), Math.min(marked[1] + PAGE, total));
  if (total) draw();

  return { grow, end };
}
