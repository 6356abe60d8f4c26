// The board without a mouse. Arrows go from card to card; Space lifts one, then the arrows choose where it goes, Space drops
// it and Escape puts it back. The focus stays on the card, and every step is said.

import { hold, release } from "./live.js";
import { drop, isAsked, moveFor, nameOf, titleOf, whyNot } from "./moves.js";
import { announce } from "./say.js";
import { PLACES, aim, cardsOf, dim, elementOf, light } from "./targets.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
const isAcross = (key) => key === "ArrowLeft" || key === "ArrowRight";

let lifted = null; // {card, place, before}

export function start(root, { search, library, keys }) {
  const shortcuts = { "/": search, n: library, "?": keys };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (lifted) return void inHand(event);
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const card = event.target.matches(".card[id], .lib") ? event.target : null;
    const act = shortcuts[event.key] ?? (card && onCard(card, event.key)) ?? (STEPS[event.key] && isNowhere() && first);
    if (!act) return;
    event.preventDefault();
    act();
  });
  root.addEventListener("focusout", ({ relatedTarget }) => {
    if (lifted && relatedTarget && !lifted.card.contains(relatedTarget)) putBack();
  });
}

function isNowhere() {
  return document.activeElement === document.body || document.activeElement.id === "main";
}

function first() {
  PLACES.slice(1).flatMap(cardsOf)[0]?.focus();
}

function onCard(card, key) {
  if (key === " ") return () => lift(card);
  if (key === "Enter") return () => card.querySelector("h3 a, b a").click();
  if (key in STEPS) return () => (isAcross(key) ? across(card, STEPS[key]) : along(card, STEPS[key]));
  return undefined;
}

function along(card, step) {
  const cards = siblings(card);
  cards[cards.indexOf(card) + step]?.focus();
}

function across(card, step) {
  for (let at = PLACES.indexOf(placeOf(card)) + step; at >= 0 && at < PLACES.length; at += step) {
    const cards = inPlace(PLACES[at]);
    if (!cards.length || !cards[0].checkVisibility()) continue;
    const top = card.getBoundingClientRect().top;
    const distance = (other) => Math.abs(other.getBoundingClientRect().top - top);
    return void cards.reduce((best, other) => (distance(other) < distance(best) ? other : best)).focus();
  }
}

function siblings(card) {
  return inPlace(placeOf(card));
}

function inPlace(place) {
  return place === "library" ? [...document.querySelectorAll(".lib:not([hidden])")] : cardsOf(place);
}

function placeOf(card) {
  return card.closest("[data-column]")?.dataset.column ?? "library";
}

function lift(card) {
  if (isAsked(card)) return;
  lifted = { card, place: card.dataset.in, before: null };
  hold(card.id);
  card.classList.add("is-lifted");
  light(card);
  announce(`${nameOf(card)} lifted from ${titleOf(lifted.place)}. Arrows choose where, Space drops it, Escape puts it back.`);
}

function inHand(event) {
  const act = { " ": letGo, Enter: letGo, Escape: putBack }[event.key];
  if (!act && !(event.key in STEPS)) return;
  event.preventDefault();
  if (act) act();
  else if (isAcross(event.key)) choose(STEPS[event.key]);
  else if (lifted.place === "planning") order(STEPS[event.key]);
}

function choose(step) {
  const isExecution = lifted.card.dataset.execution !== undefined;
  const at = PLACES.indexOf(lifted.place) + step;
  if (!PLACES[at] || (PLACES[at] === "library" && isExecution)) return void announce("There is no column further on.");
  lifted.place = PLACES[at];
  lifted.before = null;
  show();
  const move = moveFor(lifted.card, lifted.place);
  const isHome = lifted.place === lifted.card.dataset.in;
  const name = titleOf(lifted.place);
  announce(isHome ? `${name}, where it is.` : move ? `${name}: ${move.label}, ${move.hint}.` : `${name} cannot take it. ${whyNot(lifted.card, lifted.place)}`);
}

function order(step) {
  const others = cardsOf("planning").filter((other) => other !== lifted.card);
  const isHome = lifted.card.dataset.in === "planning" && !lifted.isOrdered;
  const here = isHome ? cardsOf("planning").indexOf(lifted.card) : lifted.before ? others.indexOf(lifted.before) : others.length;
  const at = Math.min(Math.max(here + step, 0), others.length);
  Object.assign(lifted, { before: others[at] ?? null, isOrdered: true });
  show();
  announce(`Place ${at + 1} of ${others.length + 1} in Planning.`);
}

function show() {
  aim(lifted.card, lifted.place, lifted.before);
  elementOf(lifted.place).scrollIntoView({ inline: "nearest", block: "nearest" });
}

function letGo() {
  const { card, place, before, isOrdered } = lifted;
  if (place === card.dataset.in && !isOrdered) return void putBack();
  finish();
  drop(card, place, before);
}

function putBack() {
  const { card } = lifted;
  finish();
  announce(`${nameOf(card)} is back in ${titleOf(placeOf(card))}.`);
}

function finish() {
  lifted.card.classList.remove("is-lifted");
  dim();
  release(lifted.card.id);
  lifted = null;
}
