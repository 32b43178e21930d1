// /docs: openapi.json, readable. Knows as much of OpenAPI 3.1 as the tribe's own description uses.
import { $, h, put, quote, copying } from "./dom.js";
import { get, token } from "./api.js";
import { initTheme, initToken } from "./shell.js";
import { complain } from "./trouble.js";

let api = {};
const METHODS = ["get", "post", "put", "patch", "delete"];

/** Follows $ref within the document; one that leads nowhere is an empty schema. */
function at(node) {
	for (let hops = 0; node && typeof node.$ref === "string" && hops < 8; hops++) {
		node = node.$ref.replace(/^#\//, "").split("/").reduce((doc, key) => (doc || {})[key.replace(/~1/g, "/").replace(/~0/g, "~")], api);
	}
	return node || {};
}

function typeWord(schema) {
	const one = at(schema);
	if (one.enum) return one.enum.map((v) => JSON.stringify(v)).join(" | ");
	if (one.const !== undefined) return JSON.stringify(one.const);
	const many = one.oneOf || one.anyOf;
	if (many) return many.map(typeWord).join(" or ");
	const type = Array.isArray(one.type) ? one.type.join(" or ") : one.type || "any";
	if (type.startsWith("array")) return `list of ${typeWord(one.items || {})}`;
	return one.format ? `${type} (${one.format})` : type;
}

function rule(schema) {
	const one = at(schema), said = [];
	const pair = (low, high, unit) => {
		if (one[low] === undefined && one[high] === undefined) return;
		said.push(one[low] !== undefined && one[high] !== undefined ? `${one[low]} to ${one[high]}${unit}` : one[low] !== undefined ? `at least ${one[low]}${unit}` : `at most ${one[high]}${unit}`);
	};
	pair("minimum", "maximum", "");
	pair("minLength", "maxLength", " characters");
	pair("minItems", "maxItems", " items");
	if (one["x-max-bytes"] !== undefined) said.push(`at most ${one["x-max-bytes"]} bytes`);
	if (one.default !== undefined) said.push(`else ${JSON.stringify(one.default)}`);
	if (one.pattern) said.push(`as ${one.pattern}`);
	return said.join(", ");
}

/** What it means, with the names in it as code, then its rule. */
function meaning(text, schema) {
	const said = rule(schema);
	return [prose(text || at(schema).description || ""), said !== "" && h("small", { class: "muted rule" }, said)];
}

const prose = (text) => text.split("`").map((piece, i) => (i % 2 === 1 ? h("code", {}, piece) : piece));

const table = (heads, rows, label) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, rows)));

const line = (name, type, required, place, means) => h("tr", {}, h("td", {}, h("code", {}, name), h("small", { class: "muted rule" }, [type, required && "required", place].filter(Boolean).join(", "))), h("td", {}, means));
const parameterRow = (p) => line(p.name, typeWord(p.schema || {}), p.required, p.in === "path" ? "in the path" : "", meaning(p.description, p.schema || {}));

/** Rows of an object's fields; nested ones below with their path, three levels deep. */
function fieldRows(schema, prefix, depth) {
	const one = at(schema), rows = [];
	for (const part of one.allOf || []) rows.push(...fieldRows(part, prefix, depth));
	for (const [name, field] of Object.entries(one.properties || {})) {
		const f = at(field), inner = f.type === "array" || (Array.isArray(f.type) && f.type.includes("array")) ? at(f.items || {}) : f;
		const path = `${prefix}${name}`, list = inner !== f;
		rows.push(line(path, typeWord(field), (one.required || []).includes(name), "", meaning("", field)));
		if (inner.properties && depth < 3) rows.push(...fieldRows(inner, `${path}${list ? "[]" : ""}.`, depth + 1));
	}
	return rows;
}

function schemaTable(schema, label) {
	const whole = at(schema), one = !whole.properties && (whole.oneOf || whole.anyOf) ? at((whole.oneOf || whole.anyOf)[0]) : whole, items = one.type === "array" ? at(one.items || {}) : one;
	const rows = fieldRows(items, one.type === "array" ? "[]." : "", 0);
	return rows.length > 0 ? [one !== whole && h("p", { class: "muted" }, typeWord(whole)), table(["Field", "Meaning"], rows, label)] : h("p", { class: "muted" }, typeWord(schema), ". ", meaning("", schema));
}

/** An example: what the description gives, or one made from the schema. */
function sample(schema, depth = 0) {
	const one = at(schema);
	if (one.example !== undefined) return one.example;
	if (Array.isArray(one.examples) && one.examples.length > 0) return one.examples[0];
	if (one.default !== undefined) return one.default;
	if (one.enum) return one.enum[0];
	if (one.oneOf || one.anyOf) return sample((one.oneOf || one.anyOf)[0], depth);
	const type = Array.isArray(one.type) ? one.type[0] : one.type;
	if (type === "object" || one.properties) return depth > 4 ? {} : Object.fromEntries(Object.entries(one.properties || {}).filter(([name]) => depth === 0 ? (one.required || []).includes(name) : true).map(([name, f]) => [name, sample(f, depth + 1)]));
	if (type === "array") return [sample(one.items || {}, depth + 1)];
	if (type === "integer" || type === "number") return one.minimum ?? 1;
	if (type === "boolean") return true;
	return one.format === "date-time" ? "2026-01-02T03:04:05Z" : "text";
}

function example(media) {
	if (media.example !== undefined) return media.example;
	const named = Object.values(media.examples || {})[0];
	if (named !== undefined && at(named).value !== undefined) return at(named).value;
	return media.schema ? sample(media.schema) : undefined;
}

function curl(method, path, parameters, body) {
	const value = (p) => String(p.example ?? example(p) ?? sample(p.schema || {}));
	let where = path.replace(/\{([^}]+)\}/g, (whole, name) => {
		const p = parameters.find((q) => q.in === "path" && q.name === name);
		return p && (p.example !== undefined || at(p.schema).example !== undefined) ? encodeURIComponent(value(p)) : name.toUpperCase();
	});
	const query = parameters.filter((p) => p.in === "query" && (p.required || p.name === "q"));
	if (query.length > 0) where += `?${query.map((p) => `${p.name}=${encodeURIComponent(value(p))}`).join("&")}`;
	const words = ["curl", path.endsWith("/events") ? "-sN" : "-s", quote(location.origin + where)];
	if (method !== "get" && (method !== "post" || !body)) words.splice(1, 0, "-X", method.toUpperCase());
	if (token() !== "") words.push("-H", '"Authorization: Bearer $TRIBE_TOKEN"');
	if (body) {
		const kind = Object.keys(body.content || {})[0] || "application/json", one = example((body.content || {})[kind] || {});
		words.push("-H", quote(`Content-Type: ${kind}`), "-d", quote(typeof one === "string" ? one : JSON.stringify(one ?? {})));
		if (method === "post") words.push("-H", '"Idempotency-Key: $(uuidgen)"');
	}
	return words.join(" ");
}

const slug = (method, path) => `${method}${path.replace(/[^a-z0-9]+/gi, "-")}`;
const pre = (text, label) => h("pre", { tabindex: "0", "aria-label": label }, h("code", {}, text));

const refusal = (r) => Object.keys(at(r).content || {})[0] === "application/problem+json";

/** Good answers with their fields; refusals, which all look alike, in one line. */
function answers(responses) {
	const all = Object.entries(responses || {}), no = all.filter(([status, r]) => refusal(r) && status !== "default");
	return [all.filter(([, r]) => !refusal(r)).map(([status, r]) => {
		const one = at(r), [kind, media] = Object.entries(one.content || {})[0] || [];
		const given = media && (media.example ?? (media.examples ? example(media) : undefined));
		return h("details", {}, h("summary", {}, h("b", {}, status), ` ${one.description || ""}`, kind && h("small", {}, ` ${kind}`)), media && media.schema && schemaTable(media.schema, `Fields of ${status}`), given !== undefined && pre(typeof given === "string" ? given : JSON.stringify(given, null, 1), `Example of ${status}`));
	}), no.length > 0 && h("p", { class: "muted refusals" }, "Refused with ", no.map(([status, r], i) => [i > 0 && ", ", h("abbr", { title: at(r).description || "" }, status)]), ".")];
}

const everywhere = (p) => p.in === "header" && (p.name === "Idempotency-Key" || p.name === "X-Request-Id");

function parameterTable(parameters, label) {
	const own = parameters.filter((p) => !everywhere(p)), heads = parameters.filter(everywhere);
	return [own.length > 0 && [h("h4", {}, "Parameters"), table(["Name", "Meaning"], own.map(parameterRow), label)],
		heads.length > 0 && h("p", { class: "muted refusals" }, "Headers: ", heads.map((p, i) => [i > 0 && ", ", h("a", { href: "#headers" }, p.name)]), ".")];
}

function callOf(path, method, op, shared) {
	const parameters = [...(shared || []), ...(op.parameters || [])].map(at), body = op.requestBody && at(op.requestBody);
	const command = curl(method, path, parameters, body), scope = op["x-scope"];
	const media = body && Object.values(body.content || {})[0];
	return h("article", { class: "panel call", id: slug(method, path), "aria-label": `${method.toUpperCase()} ${path}` },
		h("h3", { class: "where" }, h("span", { class: "method", "data-method": method }, method.toUpperCase()), h("span", {}, path)),
		h("p", { class: "what" }, prose(op.summary || "")), op.description && h("p", { class: "muted" }, prose(op.description)),
		h("p", { class: "muted" }, scope ? ["Scope ", h("b", {}, scope), op["x-whole-tribe"] && ", by a token that is not bound to a source"] : "Anybody may, without a token.", op["x-later"] && h("span", { class: "warn" }, " Comes with a later version: 404 until then.")),
		parameterTable(parameters, `Parameters of ${method} ${path}`),
		media && media.schema && [h("h4", {}, "Body"), schemaTable(media.schema, `Body of ${method} ${path}`)],
		h("h4", {}, "Answers"), answers(op.responses),
		h("h4", {}, "Try it"), copying(() => command), pre(command, "curl line"));
}

/** The two headers that every call takes, once. */
function headers() {
	const all = Object.values((api.components || {}).parameters || {}).filter(everywhere);
	return all.length === 0 ? null : h("section", { class: "panel call", id: "headers", "aria-labelledby": "headers-title" }, h("h3", { id: "headers-title" }, "Headers of every call"), table(["Name", "Meaning"], all.map(parameterRow), "What they mean"));
}

function render() {
	const ops = Object.entries(api.paths || {}).flatMap(([path, item]) => METHODS.filter((m) => item[m]).map((m) => [path, m, item[m], item.parameters]));
	const tags = [...new Set(ops.map(([, , op]) => (op.tags || [""])[0]))];
	const of = (tag) => ops.filter(([, , op]) => (op.tags || [""])[0] === tag);
	const about = (tag) => ((api.tags || []).find((t) => t.name === tag) || {}).description || "";
	put($("lead"), prose((api.info && api.info.description) || `${ops.length} calls, JSON in UTF-8.`));
	put($("index"), tags.map((tag) => [h("h2", {}, tag), h("ul", {}, of(tag).map(([path, method]) => h("li", {}, h("a", { href: `#${slug(method, path)}` }, h("span", { class: "method", "data-method": method }, method.toUpperCase()), path.replace("/api/v1", "")))))]));
	put($("calls"), tags.map((tag, i) => h("section", { "aria-labelledby": `tag-${i}` }, h("div", { class: "head" }, h("h2", { id: `tag-${i}` }, tag), about(tag) !== "" && h("p", {}, prose(about(tag)))), of(tag).map((op) => callOf(...op)))), headers());
	put($("about"), `tribe ${(api.info && api.info.version) || ""} · OpenAPI ${api.openapi || ""}`);
	if (location.hash.length > 1) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

async function start() {
	try {
		api = await get("/openapi.json");
		render();
	} catch (problem) {
		put($("lead"), "The description of the API could not be read.");
		put($("calls"), complain(problem));
	}
}

initTheme(() => {});
initToken(start);
start();
