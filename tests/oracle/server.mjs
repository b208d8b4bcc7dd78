// Answers questions about MongoDB's query language with mingo: one JSON line in, one out.
//
// in:  {"docs": [...], "cases": [{"op": "find" | "aggregate" | "update", ...}]}
// out: {"results": [{"value": ...} | {"error": "..."}]}
//
// Dates travel as {"$date": "2024-05-01T10:00:00.000Z"}. Every case gets a copy of the documents.
import { createInterface } from "node:readline";
import { aggregate, find, updateMany, updateOne } from "mingo";

function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === "$date") return new Date(value.$date);
  return Object.fromEntries(keys.map((key) => [key, revive(value[key])]));
}

function show(value) {
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof RegExp) return { $regex: value.source, $options: value.flags };
  if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : show(item)));
  if (value === null || typeof value !== "object") {
    if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
    return value;
  }
  return Object.fromEntries(
    Object.keys(value)
      .filter((key) => value[key] !== undefined)
      .map((key) => [key, show(value[key])]),
  );
}

const asked = {
  find(docs, question) {
    let cursor = find(docs, revive(question.filter ?? {}), revive(question.projection ?? {}));
    if (question.sort) cursor = cursor.sort(question.sort);
    if (question.skip) cursor = cursor.skip(question.skip);
    if (question.limit) cursor = cursor.limit(question.limit);
    return cursor.all();
  },
  aggregate(docs, question) {
    const collections = Object.fromEntries(
      Object.entries(question.collections ?? {}).map(([name, items]) => [name, revive(items)]),
    );
    return aggregate(docs, revive(question.pipeline), {
      collectionResolver: (name) => collections[name] ?? [],
    });
  },
  update(docs, question) {
    const change = question.many ? updateMany : updateOne;
    const config = { arrayFilters: revive(question.array_filters ?? []), sort: question.sort };
    if (!question.sort) delete config.sort;
    const result = change(docs, revive(question.filter ?? {}), revive(question.update), config);
    return { matched: result.matchedCount, modified: result.modifiedCount, docs };
  },
};

function answer(docs, question) {
  try {
    const value = asked[question.op](revive(docs), question);
    return { value: show(value) };
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { docs, cases } = JSON.parse(line);
  const results = cases.map((question) => answer(docs, question));
  process.stdout.write(JSON.stringify({ results }) + "\n");
}
