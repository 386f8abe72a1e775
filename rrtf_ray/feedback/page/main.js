// The page of `rrtf prefer`: shows a pair, takes a choice, and has the next pair ready.

import {Later, NoKey, Outbox, ask, kept, newId} from "./server.js";
import {drawDifference, drawSides, drawText, tableOf, testsText, write} from "./view.js";

const GUARD_MS = 200;  // no choice falls on a pair that was not there yet when the key went down
const RETRY_MS = 2000;
const RENEW_MS = 4 * 60_000;
const at = (id) => document.getElementById(id);
const outbox = new Outbox();
const voted = new Set();  // pairs that were answered here, whether the server knows it yet or not
let pair = null, ahead = null, progress = null, tests = null, drawn = "";
let isDiff = kept.read("diff") === "yes", isSettling = false;
let shownAt = 0, activeMs = 0, readyTimer = 0, retryTimer = 0;
let isBusy = false, isWanted = false, isUndoing = false;

const CHOICES = {f: "left", ArrowLeft: "left", j: "right", ArrowRight: "right", " ": "both_good", x: "both_bad", s: "skipped"};
const SAID = {left: "left is better", right: "right is better", both_good: "both are good", both_bad: "both are bad", skipped: "skipped"};
const COMMANDS = {u: undo, d: toggleView, t: showTests, e: unfold, r: openReason, a: openStatus, c: toggleSettling, "?": openHelp};

function say(text, isWrong = false) {
  at("said").replaceChildren();
  write(at("said"), text);
  at("said").classList.toggle("wrong", isWrong);
}

/** Send what is to be sent, then learn what is next. One call at a time. */
async function sync() {
  if (isBusy) { isWanted = true; return; }
  isBusy = true;
  clearTimeout(retryTimer);
  try {
    do {
      isWanted = false;
      if (!kept.read("key") && (await ask("access")).keys) { askForKey(); break; }
      await outbox.send(sent);
      const settle = isSettling;
      const found = await ask("next", {settle});
      if (settle === isSettling) take(found.pairs);
      progress = await ask("progress");
      showProgress();
      at("key-form").hidden = true;
    } while (isWanted);
    if (document.body.dataset.offline) say("");
    delete document.body.dataset.offline;
  } catch (error) {
    if (error instanceof NoKey) askForKey(error.message);
    else if (error instanceof Later) {
      document.body.dataset.offline = "yes";
      const waiting = outbox.items.length ? "Your last choice is kept here and not stored yet. " : "";
      say(`${waiting}Trying again: ${error.message}`, true);
      retryTimer = setTimeout(sync, RETRY_MS);
    } else say(error.message, true);
  } finally {
    isBusy = false;
  }
}

function sent({path, body}, answer, refused) {
  if (path === "undo") {
    isUndoing = false;
    voted.clear();
    say(refused ? refused.message : "Your last choice is taken back.", Boolean(refused));
  } else if (refused) {
    voted.clear();
    say(`Your choice was not stored: ${refused.message}`, true);
  } else if (answer.tests) {
    const [left, right] = answer.tests.map(testsText);
    say(`You said: ${SAID[body.choice]}. Tests of that pair: left ${left}; right ${right}.`);
  } else say(`You said: ${SAID[body.choice]}.`);
}

/** The server's list of this annotator's pairs, the first to be answered now. */
function take(pairs) {
  const open = pairs.filter(({id}) => !voted.has(id));
  ahead = open[1] ?? null;
  if (open[0]?.id !== pair?.id) show(open[0] ?? null);
  else if (!pair) show(null);
}

function show(next) {
  pair = next;
  tests = next?.tests ?? null;
  drawn = "";
  activeMs = 0;
  shownAt = performance.now();
  document.body.dataset.ready = "no";
  clearTimeout(readyTimer);
  at("work").hidden = at("actions").hidden = !pair;
  at("empty").hidden = Boolean(pair);
  if (!pair) {
    at("empty").textContent = isSettling ? "No conflict is left to settle." : "No pair is left for you now. Thank you!";
    return;
  }
  drawText(at("problem-text"), pair.problem, pair.language);
  draw();
  showTexts();
  at("main").focus({preventScroll: true});
  window.scrollTo(0, 0);
  readyTimer = setTimeout(() => { document.body.dataset.ready = "yes"; }, GUARD_MS);
}

function draw() {
  at("panes").hidden = isDiff;
  at("difference").hidden = !isDiff;
  at("view").setAttribute("aria-pressed", String(isDiff));
  const view = isDiff ? "diff" : "sides";
  if (drawn === view) return;
  drawn = view;
  if (isDiff) drawDifference(at("difference").querySelector(".code"), pair);
  else drawSides([...at("panes").querySelectorAll(".code")], pair);
}

function showTexts() {
  const [left, right] = tests ? tests.map(testsText) : ["", ""];
  const texts = {left, right, difference: tests ? `left: ${left}; right: ${right}` : ""};
  for (const [id, text] of Object.entries(texts)) {
    const place = at(id).querySelector(".tests");
    place.replaceChildren();
    write(place, text && `· ${text}`);
  }
  if (pair.cut) say(`${pair.cut.toLocaleString("en")} characters are not shown: these programs are too long.`, true);
}

function showProgress() {
  const {answered, left, seconds, lead, conflicts} = progress;
  at("bar").max = Math.max(1, answered + left);
  at("bar").value = answered;
  const minutes = Math.ceil(left * seconds / 60);
  const time = minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
  at("progress").textContent = `${answered} answered, ${left} left${seconds && left ? `, about ${time} at your pace` : ""}`;
  at("rubric").textContent = progress.rubric;
  at("status-button").hidden = !lead;
  at("settle").hidden = !lead || !(conflicts || isSettling);
  at("settle").firstChild.textContent = isSettling ? "Back to pairs " : `Settle ${conflicts} ${conflicts === 1 ? "conflict" : "conflicts"} `;
  at("settle").setAttribute("aria-pressed", String(isSettling));
}

function choose(choice) {
  if (!pair || document.body.dataset.ready !== "yes") return;
  if (document.visibilityState === "visible") activeMs += performance.now() - shownAt;
  const seconds = Math.min(86_400, activeMs / 1000);
  const reason = at("reason").value.trim();
  outbox.put("vote", {id: newId(), pair: pair.id, choice, seconds, reason});
  voted.add(pair.id);
  closeReason(true);
  const next = ahead;
  ahead = null;
  if (next) show(next);
  else {
    pair = null;
    at("work").hidden = at("actions").hidden = true;
    at("empty").hidden = false;
    at("empty").textContent = "Looking for the next pair…";
  }
  sync();
}

function undo() {
  const unsent = outbox.items.filter(({path}) => path === "vote").at(-1);
  const vote = unsent?.body.id ?? progress?.last;
  if (isUndoing) return;
  if (!vote) { say("There is no choice to take back."); return; }
  isUndoing = true;
  outbox.put("undo", {vote});
  sync();
}

function toggleView() {
  if (!pair) return;
  isDiff = !isDiff;
  kept.write("diff", isDiff ? "yes" : "no");
  draw();
}

async function showTests() {
  const asked = pair;
  if (!asked || tests) return;
  try {
    const found = (await ask("tests", {pair: asked.id})).tests;
    if (pair !== asked) return;
    tests = found;
    showTexts();
    say(`Tests: left ${testsText(tests[0])}; right ${testsText(tests[1])}. Your vote will say that you saw this.`);
  } catch (error) {
    say(error.message, true);
  }
}

function unfold() {
  for (const fold of document.querySelectorAll("#work .fold")) if (!fold.closest("[hidden]")) fold.click();
}

function openReason() {
  if (!pair) return;
  at("reason-row").hidden = false;
  at("reason").focus();
}

function closeReason(isCleared) {
  if (isCleared) at("reason").value = "";
  at("reason-row").hidden = !at("reason").value.trim();
  at("main").focus({preventScroll: true});
}

function openHelp() {
  at("help").showModal();
}

async function openStatus() {
  if (!progress?.lead) return;
  try {
    at("status-table").replaceChildren(tableOf(await ask("status")));
    at("status").showModal();
  } catch (error) {
    say(error.message, true);
  }
}

function toggleSettling() {
  if (!progress?.lead || (!isSettling && !progress.conflicts)) return;
  isSettling = !isSettling;
  pair = ahead = null;
  say(isSettling ? "These pairs had opposite votes: yours decides." : "");
  sync();
}

/** message: why the one that is kept does not work. */
function askForKey(message = "") {
  at("work").hidden = at("actions").hidden = at("empty").hidden = true;
  pair = ahead = null;
  at("key-form").hidden = false;
  at("key").focus();
  say(message && `That key does not work: ${message}`, Boolean(message));
}

function scrollBoth(key) {
  const boxes = [...document.querySelectorAll(isDiff ? "#difference .code" : "#panes .code")];
  let moved = false;
  for (const box of boxes) {
    const step = {ArrowDown: 40, ArrowUp: -40, PageDown: box.clientHeight * 0.9, PageUp: -box.clientHeight * 0.9}[key];
    if (box.scrollHeight > box.clientHeight) { box.scrollBy(0, step); moved = true; }
  }
  return moved;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const {key, target} = event;
  if (target instanceof HTMLInputElement) return;
  if ((key === " " || key === "Enter") && target instanceof HTMLButtonElement) return;
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (["ArrowDown", "ArrowUp", "PageDown", "PageUp"].includes(key)) {
    if (pair && !target.classList.contains("code") && scrollBoth(key)) event.preventDefault();
    return;
  }
  const command = Object.hasOwn(CHOICES, name) ? () => choose(CHOICES[name]) : Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : null;
  if (!command || at("key-form").hidden === false) return;
  event.preventDefault();
  if (!event.repeat) command();
});

for (const button of document.querySelectorAll("[data-key]")) {
  const {key} = button.dataset;
  button.addEventListener("click", () => {
    if (CHOICES[key]) choose(CHOICES[key]);
    else COMMANDS[key]();
  });
}
at("help-button").addEventListener("click", openHelp);
at("status-button").addEventListener("click", openStatus);
at("settle").addEventListener("click", toggleSettling);
at("reason").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== "Escape") return;
  event.preventDefault();
  closeReason(event.key === "Escape");
});
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  kept.write("key", at("key").value.trim());
  at("key").value = "";
  sync();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") shownAt = performance.now();
  else activeMs += performance.now() - shownAt;
});
setInterval(() => { if (document.visibilityState === "visible") sync(); }, RENEW_MS);
sync();
