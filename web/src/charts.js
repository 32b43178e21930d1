// Charts by uPlot, in the page's own colours; drawn anew when those change. Each has a table beside it for who cannot see it.
const uPlot = globalThis.uPlot; // /assets/uplot.js; a build without npm has none, and then the tables stand open

const charts = new Set();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const font = "12px system-ui, sans-serif";

class Chart {
	constructor(el, options, data) {
		Object.assign(this, { el, options, data, plot: null });
		if (uPlot === undefined) {
			el.hidden = true;
			for (const table of el.parentElement.querySelectorAll("details")) table.open = true;
			return;
		}
		for (const c of charts) if (!c.el.isConnected) charts.delete(c); // those of drills before this one
		charts.add(this);
		new ResizeObserver(() => this.resize()).observe(el);
	}

	make() {
		if (this.plot !== null) this.plot.destroy();
		this.plot = null;
		if (this.el.clientWidth < 40) return;
		this.plot = new uPlot({ width: this.el.clientWidth, height: this.el.clientHeight, ...this.options(colour) }, this.data, this.el);
	}

	resize() {
		if (this.plot === null) this.make();
		else this.plot.setSize({ width: this.el.clientWidth, height: this.el.clientHeight });
	}

	set(data) {
		this.data = data;
		if (uPlot === undefined) return;
		if (this.plot === null) this.make();
		else this.plot.setData(data);
	}
}

export function recolour() {
	for (const c of charts) c.make();
}

const axis = (colour, more) => ({ stroke: colour("muted"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, ...more });
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const clock = uPlot?.fmtDate("{HH}:{mm}:{ss}");
const times = (colour) => axis(colour, { values: (u, ticks) => ticks.map((t) => clock(new Date(t * 1000))), space: 100, size: 34, incrs: SECONDS, grid: { show: false } });
const tens = (u, ticks) => ticks.map((t) => (Math.abs(Math.log10(t) % 1) < 1e-6 ? t : null));

/** The index and its parts over time, all on 0..100. data: [seconds, index, uptime, coherence, balance] */
export function indexChart(el) {
	const part = (label, name, dash) => (c) => ({ label, stroke: c(name), width: 1.5, dash, spanGaps: false, points: { show: false } });
	const series = [
		(c) => ({ label: "index", stroke: c("accent"), width: 3, fill: c("glow"), points: { show: false } }),
		part("uptime", "part-uptime"), part("coherence", "part-coherence", [7, 4]), part("balance", "part-balance", [2, 3]), // told apart without colours, too
	];
	return new Chart(el, (c) => ({
		legend: { show: false },
		cursor: { y: false },
		scales: { x: { time: true }, y: { range: [0, 100] } },
		axes: [times(c), axis(c, { size: 40, incrs: [25, 50], values: (u, ticks) => ticks.map(String) })],
		series: [{}, ...series.map((make) => make(c))],
	}), [[], [], [], [], []]);
}

const SHADES = ["part-uptime", "accent", "part-coherence", "part-balance"]; // of the four Jrs
const FLOOR_MS = 0.02;
const logAxis = (c) => axis(c, { size: 58, filter: tens, grid: { stroke: c("line"), width: 1, filter: tens }, ticks: { show: false }, values: (u, ticks) => ticks.map((t) => (t === null ? "" : t < 1000 ? `${t} ms` : `${t / 1000} s`)) });

/** The mark of a Jr's, of its own shape and colour; hollow: nobody had noticed. jr -1: a cross, of what did not come back. */
function mark(u, x, y, jr, colour, hollow) {
	const c = u.ctx, r = 4.5 * devicePixelRatio;
	c.save();
	c.setLineDash([]);
	c.lineWidth = 2 * devicePixelRatio;
	c.strokeStyle = c.fillStyle = colour;
	c.beginPath();
	if (jr === -1) c.moveTo(x - r, y - r), c.lineTo(x + r, y + r), c.moveTo(x - r, y + r), c.lineTo(x + r, y - r);
	else if (jr === 0) c.arc(x, y, r, 0, 7);
	else if (jr === 1) c.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
	else if (jr === 2) c.moveTo(x, y - r * 1.1), c.lineTo(x + r * 1.15, y + r * 0.9), c.lineTo(x - r * 1.15, y + r * 0.9), c.closePath();
	else c.moveTo(x, y - r * 1.25), c.lineTo(x + r * 1.25, y), c.lineTo(x, y + r * 1.25), c.lineTo(x - r * 1.25, y), c.closePath();
	if (hollow || jr === -1) c.stroke();
	else c.fill();
	c.restore();
}

/** How long a role was away, each time, on a logarithmic scale. set(points): {at: seconds, jr: which, ms, unseen: it led again before anybody
 * noticed}; one without ms stands on the floor. */
export function awayChart(el) {
	let points = [];
	const chart = new Chart(el, (c) => ({
		legend: { show: false },
		cursor: { show: false },
		hooks: { draw: [(u) => {
			for (const p of points) mark(u, u.valToPos(p.at, "x", true), p.ms === null ? u.bbox.top + u.bbox.height - 7 * devicePixelRatio : u.valToPos(Math.max(p.ms, FLOOR_MS), "y", true), p.jr, c(SHADES[p.jr]), p.unseen);
		}] },
		scales: { x: { time: true, range: (u, low, high) => (high - low < 10 ? [low - 5, high + 5] : [low - (high - low) * 0.03, high + (high - low) * 0.03]) }, y: { distr: 3, range: (u, low, high) => [Math.min(FLOOR_MS, (low || 0.1) / 3), Math.max(100, (high || 0) * 1.5)] } },
		axes: [times(c), logAxis(c)],
		series: [{}, { paths: () => null, points: { show: false } }],
	}), [[], []]);
	return { set(now) {
		points = now;
		chart.set([points.map((p) => p.at), points.map((p) => p.ms)]);
	} };
}

/** The last drill: what its users' requests took (lines), and each blow at its moment, as high as it took until a good answer. */
export function drillChart(el, ids) {
	let steps = [], end = 1, low = 0.05, high = 100;
	const line = (label, name, width, dash) => (c) => ({ label, stroke: c(name), width, dash, spanGaps: true, points: { show: false } });
	const lines = [line("median", "ink", 1.75), line("99 %", "muted", 1.25, [6, 4]), line("longest", "muted", 1.25, [2, 3])];
	const chart = new Chart(el, (c) => ({
		legend: { show: false },
		cursor: { show: false },
		hooks: { drawClear: [(u) => {
			const { ctx, bbox } = u;
			ctx.save();
			ctx.setLineDash([]);
			ctx.lineWidth = devicePixelRatio;
			for (const step of steps) {
				const x = Math.round(u.valToPos(step.at_ms / 1000, "x", true));
				ctx.strokeStyle = c(SHADES[Math.max(0, ids.indexOf(step.jr))]);
				ctx.globalAlpha = 0.35;
				ctx.beginPath(), ctx.moveTo(x, bbox.top), ctx.lineTo(x, bbox.top + bbox.height), ctx.stroke();
			}
			ctx.restore();
		}], draw: [(u) => {
			for (const step of steps) {
				const x = u.valToPos(step.at_ms / 1000, "x", true), jr = Math.max(0, ids.indexOf(step.jr));
				if (typeof step.ms === "number") mark(u, x, u.valToPos(Math.max(step.ms, low), "y", true), jr, c(SHADES[jr]), !(step.noticed_ms <= step.ms));
				else mark(u, x, u.bbox.top + 8 * devicePixelRatio, -1, c("bad"), true);
			}
		}] },
		scales: { x: { time: false, range: () => [0, end] }, y: { distr: 3, range: () => [low, high] } },
		axes: [axis(c, { values: (u, ticks) => ticks.map((t) => `${t} s`), size: 34, space: 70, grid: { show: false } }), logAxis(c)],
		series: [{}, ...lines.map((make) => make(c))],
	}), [[0], [null], [null], [null]]);
	return { set(slices, blows, seconds) {
		steps = blows;
		const values = [...slices.flatMap((s) => [s.p50_ms, s.max_ms]), ...steps.map((s) => s.ms)].filter((v) => v > 0);
		end = Math.max(seconds, ...steps.map((s) => s.at_ms / 1000 + 0.1), 0.2);
		low = Math.min(0.05, ...values.map((v) => v / 2));
		high = Math.max(10, ...values.map((v) => v * 1.6));
		chart.set(slices.length > 0 ? [slices.map((s) => s.at_ms / 1000), slices.map((s) => s.p50_ms), slices.map((s) => s.p99_ms), slices.map((s) => s.max_ms)] : [[0], [null], [null], [null]]);
	} };
}
