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

/** How long a role was away, each time, on a logarithmic scale. data: [seconds, ms of each of the four Jrs] */
export function awayChart(el, names) {
	const shades = ["part-uptime", "accent", "part-coherence", "part-balance"];
	return new Chart(el, (c) => ({
		legend: { show: false },
		cursor: { y: false },
		scales: { x: { time: true }, y: { distr: 3, range: (u, low, high) => [Math.min(0.05, (low || 0.1) / 2), Math.max(100, (high || 0) * 1.5)] } },
		axes: [
			times(c),
			axis(c, { size: 58, filter: tens, grid: { stroke: c("line"), width: 1, filter: tens }, ticks: { show: false }, values: (u, ticks) => ticks.map((t) => (t === null ? "" : t < 1000 ? `${t} ms` : `${t / 1000} s`)) }),
		],
		series: [{}, ...names.map((label, i) => ({ label, stroke: c(shades[i]), fill: c(shades[i]), paths: () => null, points: { show: true, size: 8, width: 0, fill: c(shades[i]) } }))],
	}), [[], ...names.map(() => [])]);
}
