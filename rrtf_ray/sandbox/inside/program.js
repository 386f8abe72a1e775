// The program's side for JavaScript: loads a program, makes the calls of its tests, and writes what came of them to
// the file it was given; or runs a script. The counterpart of program.py and script.py, in a fresh node a program.
//
// Descriptor 3 holds the order, as JSON: {program, entry_point, calls} or {program, nonce} for a script; calls are
// messages. What is written there in its place is as in channel.py and codec.py: messages (a length of four bytes, then
// JSON), or records of a script, which only explain. Nothing here decides or knows what is right.
'use strict';
{
  const fs = require('fs');
  const vm = require('vm');
  const FILE = 3;
  const PROGRAM = 'program.js';
  const MAX_TEXT = 300;
  const BASES = {
    RangeError: 'ValueError',
    TypeError: 'TypeError',
    ReferenceError: 'NameError',
    SyntaxError: 'SyntaxError',
    AssertionError: 'AssertionError',
  };
  const write = fs.writeSync;
  const {stringify} = JSON;
  const exit = process.reallyExit.bind(process);

  const takeOrder = () => {
    const data = Buffer.alloc(fs.fstatSync(FILE).size);
    fs.readSync(FILE, data, 0, data.length, 0);
    fs.ftruncateSync(FILE, 0);
    return JSON.parse(data.toString('utf8'));
  };

  const send = (message) => {
    const data = Buffer.from(stringify(message), 'utf8');
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    write(FILE, Buffer.concat([head, data]));
  };

  const nameOf = (error) => {
    try {
      return String((error && (error.name || (error.constructor && error.constructor.name))) || typeof error);
    } catch {
      return 'Error';
    }
  };

  const describe = (error) => {
    let text = '';
    let line = null;
    try {
      text = String(error instanceof Error ? error.message : error).slice(0, MAX_TEXT);
      line = /program\.js:(\d+)/.exec(String(error && error.stack));
    } catch {
      // an error whose parts raise has no text
    }
    return nameOf(error) + (text && `: ${text}`) + (line ? ` (line ${line[1]})` : '');
  };

  // ---- values, as codec.py writes and reads them

  const number = (value) => {
    if (Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))) return value;
    if (Number.isInteger(value)) return {f: `${BigInt(value)}.0`};
    return {f: Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'};
  };

  const hex = (value) => (value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);

  const pairs = (entries) => Array.from(entries, ([key, value]) => [hashable(key), encode(value)]);

  const encode = (value) => {
    switch (typeof value) {
      case 'undefined': return null;
      case 'boolean': case 'string': return value;
      case 'number': return number(value);
      case 'bigint': return {i: hex(value)};
      case 'object': break;
      default: return {h: [0, typeof value === 'function' ? 'function' : 'object', typeof value, '']};
    }
    if (value === null) return null;
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, encode);
    if (value instanceof Map) return {d: pairs(value)};
    if (value instanceof Set) return {s: Array.from(new Set(value), hashable)};
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return encode(value.valueOf());
    return {d: pairs(Object.entries(value))};
  };

  // A member of a set or a key: Python takes no lists there.
  const hashable = (value) => {
    if (Array.isArray(value)) return {t: Array.from(value, hashable)};
    return typeof value === 'object' && value !== null ? {t: Array.from(Object.entries(value), hashable)} : encode(value);
  };

  // shared: the mutable objects by index; the tests see how a call has changed them.
  const decode = (tree, shared) => {
    const inner = (part) => decode(part, shared);
    if (Array.isArray(tree)) return tree.map(inner);
    if (typeof tree !== 'object' || tree === null) return tree;
    const [[tag, content]] = Object.entries(tree);
    switch (tag) {
      case 't': return content.map(inner);
      case 's': case 'z': return new Set(content.map(inner));
      case 'm': return (shared[content[0]] = inner(content[1]));
      case 'r': return shared[content];
      case 'f': return Number(content.replace('nan', 'NaN').replace('inf', 'Infinity'));
      case 'i': return content.startsWith('-') ? -BigInt(content.slice(1)) : BigInt(content);
      case 'd': return dictionary(content.map((pair) => pair.map(inner)));
      case 'b': case 'a': return Uint8Array.from(content, (c) => c.charCodeAt(0));
      default: throw new TypeError(`an argument of the kind ${tag} has no counterpart in JavaScript`);
    }
  };

  // An object where all keys can be its names, as in JSON; else a Map.
  const dictionary = (entries) =>
    entries.every(([key]) => typeof key === 'string') ? Object.fromEntries(entries) : new Map(entries);

  // ---- the two ways to run

  const compiled = (source) => new vm.Script(source, {filename: PROGRAM});

  const call = (entry, text) => {
    try {
      const [, , args, keywords] = JSON.parse(text);
      const shared = [];
      const values = decode(args, shared);
      if (Object.keys(decode(keywords, shared)).length) throw new TypeError('JavaScript has no arguments by keyword');
      const before = shared.map((object) => stringify(encode(object)));
      const value = entry(values);
      const at = typeof value === 'object' && value !== null ? shared.indexOf(value) : -1;
      const result = at < 0 ? encode(value) : {r: at};
      const now = shared.map(encode);
      return ['v', result, now.map((tree, i) => [i, tree]).filter(([i, tree]) => stringify(tree) !== before[i])];
    } catch (error) {
      const name = nameOf(error);
      const overflow = name === 'RangeError' && /call stack/.test(String(error.message));
      const base = overflow ? 'RecursionError' : BASES[name] || 'Exception';
      return ['e', ['program', name], describe(error), [], base, String((error && error.message) || '').slice(0, MAX_TEXT)];
    }
  };

  const runCalls = (order) => {
    let how = 'x';
    try {
      const script = compiled(order.program);
      how = 'e';
      script.runInThisContext();
    } catch (error) {
      send(['load', how, describe(error), {d: []}]);
      return;
    }
    globalThis.__arguments = null;
    const {exports} = globalThis.module;
    const exported = typeof exports === 'function' ? exports : Object(exports)[order.entry_point];
    if (exported && compiled(`typeof ${order.entry_point}`).runInThisContext() === 'undefined') {
      globalThis[order.entry_point] = exported;
    }
    const caller = compiled(`${order.entry_point}(...__arguments)`);
    const entry = (values) => {
      globalThis.__arguments = values;
      return caller.runInThisContext();
    };
    send(['load', '', '', {d: []}]);
    for (const text of order.calls) send(call(entry, text));
  };

  const runScript = (order) => {
    const record = (letter, text) => write(FILE, `${order.nonce} ${letter} ${text.replace(/\s+/g, ' ')}\n`);
    const {readFileSync, openSync} = fs;
    const standardInput = (path) => (path === '/dev/stdin' ? 0 : path);  // there is no /proc that it could lead to
    fs.readFileSync = (path, ...rest) => readFileSync(standardInput(path), ...rest);
    fs.openSync = (path, ...rest) => (path === '/dev/stdin' ? 0 : openSync(path, ...rest));
    process.on('uncaughtExceptionMonitor', (error) => record('d', describe(error)));
    let script;
    try {
      script = compiled(order.program);
    } catch (error) {
      record('d', describe(error));
      record('x', '-');
      exit(1);
    }
    script.runInThisContext();
  };

  globalThis.require = require;
  globalThis.module = {exports: {}};
  globalThis.exports = globalThis.module.exports;
  const order = takeOrder();
  if ('calls' in order) {
    try {
      runCalls(order);
    } finally {
      exit(0);
    }
  } else {
    runScript(order);
  }
}
