// Which lines two programs share, and which words within lines that changed. Nothing here touches the page.

const MOST_EDITS = 600;  // beyond, the middle counts as replaced
const MOST_WORDS = 300;  // of a line
const LEAST_SHARED = 0.3;

/** Rows of two lists of lines: `{left, right, same}`, indices or null. */
export function rowsOf(left, right) {
  let head = 0, tail = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) head++;
  while (tail < left.length - head && tail < right.length - head && left.at(-1 - tail) === right.at(-1 - tail)) tail++;
  const matches = shared(left.slice(head, left.length - tail), right.slice(head, right.length - tail));
  const rows = [];
  for (let i = 0; i < head; i++) rows.push({left: i, right: i, same: true});
  let a = head, b = head;
  const until = (x, y) => {
    while (a < x || b < y) rows.push({left: a < x ? a++ : null, right: b < y ? b++ : null, same: false});
  };
  for (const [x, y] of matches) {
    until(head + x, head + y);
    rows.push({left: a++, right: b++, same: true});
  }
  until(left.length - tail, right.length - tail);
  while (a < left.length) rows.push({left: a++, right: b++, same: true});
  return rows;
}

/** Pairs of indices of a longest common subsequence (Myers 1986); none where it would take too long. */
function shared(left, right) {
  const n = left.length, m = right.length, most = Math.min(n + m, MOST_EDITS);
  const trace = [];
  let ends = new Map([[1, 0]]);
  for (let edits = 0; edits <= most; edits++) {
    trace.push(new Map(ends));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
      let x = down ? ends.get(k + 1) ?? 0 : ends.get(k - 1) + 1;
      while (x < n && x - k < m && left[x] === right[x - k]) x++;
      ends.set(k, x);
      if (x >= n && x - k >= m) return backwards(trace, left, right);
    }
  }
  return [];
}

function backwards(trace, left, right) {
  const found = [];
  let x = left.length, y = right.length;
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const ends = trace[edits], k = x - y;
    const down = k === -edits || (k !== edits && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
    const before = down ? k + 1 : k - 1;
    const fromX = edits ? ends.get(before) : 0, fromY = edits ? fromX - before : 0;
    while (x > fromX && y > fromY) found.push([--x, --y]);
    [x, y] = [fromX, fromY];
  }
  return found.reverse();
}

/** Of two lines that changed: the ranges `[from, to)` that differ in each; null where they share too little. */
export function wordsOf(left, right) {
  const a = left.match(/[\p{L}\p{N}_]+|\s+|./gsu) ?? [], b = right.match(/[\p{L}\p{N}_]+|\s+|./gsu) ?? [];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return null;
  const matches = shared(a, b);
  const kept = matches.reduce((sum, [i]) => sum + a[i].trim().length, 0);
  if (kept < LEAST_SHARED * Math.max(left.trim().length, right.trim().length)) return null;
  return [ranges(a, new Set(matches.map(([i]) => i))), ranges(b, new Set(matches.map(([, j]) => j)))];
}

function ranges(words, kept) {
  const found = [];
  let at = 0;
  words.forEach((word, number) => {
    if (!kept.has(number)) {
      const last = found.at(-1);
      if (last && last[1] === at) last[1] = at + word.length;
      else found.push([at, at + word.length]);
    }
    at += word.length;
  });
  return found;
}

/** Pieces `[kind, text]` cut at ranges: `[kind, text, changed]`. */
export function cut(pieces, ranges) {
  const found = [];
  let at = 0, next = 0;
  for (const [kind, text] of pieces) {
    let from = 0;
    while (from < text.length) {
      while (next < ranges.length && ranges[next][1] <= at + from) next++;
      const range = ranges[next];
      const inside = Boolean(range && range[0] <= at + from);
      const end = range ? Math.min(text.length, (inside ? range[1] : range[0]) - at) : text.length;
      found.push([kind, text.slice(from, end), inside]);
      from = end;
    }
    at += text.length;
  }
  return found;
}
