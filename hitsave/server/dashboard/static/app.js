// Comforts on top of pages that work without it: choices that submit themselves, remembered columns, charts.
(() => {
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
    if (event.target.matches("[data-hide]")) hideColumns(event.target);
    if (event.target.matches("input[name=ids]")) countChosen();
    else if (event.target.name && event.target.form?.matches("[data-live]")) event.target.form.requestSubmit();
  });

  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy],[data-confirm]");
    if (!button) return;
    if (button.dataset.confirm && !confirm(button.dataset.confirm)) event.preventDefault();
    if (button.dataset.copy) {
      navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent).then(() => {
        const text = button.textContent;
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = text; }, 1500);
      });
    }
  });

  // "Compare" belongs to the same form as the filters, but goes to another page with the ticked runs only.
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-compare]");
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    const ids = $$("input[name=ids]:checked").map((box) => box.value);
    if (ids.length < 2) { button.setCustomValidity?.("Tick two to ten runs first."); button.reportValidity?.(); return; }
    const url = new URL(button.formAction);
    url.search = new URLSearchParams({ ids: ids.slice(0, 10).join(","), ...project() });
    location.href = url;
  }, true);

  const project = () => {
    const name = new URLSearchParams(location.search).get("project");
    return name ? { project: name } : {};
  };

  function countChosen() {
    const n = $$("input[name=ids]:checked").length;
    $$("[data-compare]").forEach((button) => {
      button.setCustomValidity?.("");
      button.textContent = n ? `Compare ${n}` : "Compare";
      button.classList.toggle("primary", n > 1);
    });
  }

  // Which columns a person hid is kept in the URL (to share) and on this machine (to find again).
  const memory = (name) => `hitsave-hidden ${name}`;
  function hideColumns(box) {
    const form = box.form;
    $$("input[name=hide]", form).forEach((old) => old.remove());
    const hidden = $$("[data-hide]", form).filter((b) => !b.checked).map((b) => b.dataset.hide);
    for (const column of hidden) {
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: "hide", value: column });
      form.append(field);
    }
    try { localStorage.setItem(memory(document.getElementById("runs").dataset.columnsOf), JSON.stringify(hidden)); } catch { /* no memory */ }
    form.requestSubmit();
  }
  const runs = document.getElementById("runs");
  if (runs && !location.search.includes("hide=")) {
    try {
      const hidden = JSON.parse(localStorage.getItem(memory(runs.dataset.columnsOf)) ?? "[]");
      if (hidden.length && !location.search) {
        const query = new URLSearchParams(hidden.map((column) => ["hide", column]));
        location.replace(`${location.pathname}?${query}`);
      }
    } catch { /* no memory */ }
  }

  // Fields that say nothing make long addresses.
  addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "" || name === "ids") event.formData.delete(name);
  });
  addEventListener("htmx:config:request", (event) => {
    const body = event.detail?.ctx?.request?.body;
    if (body instanceof FormData || body instanceof URLSearchParams)
      for (const [name, value] of [...body]) if (value === "" || name === "ids") body.delete(name);
  });

  // ---- charts
  const COLOURS = ["#0f8a7e", "#d9730d", "#3b6fd6", "#b4429a", "#6b8e23", "#c23b3b", "#7a5cc7", "#8a6d3b"];
  const SHAPES = ["circle", "square", "triangle", "diamond"];
  const format = (x) => (x === null || x === undefined ? "" : Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-4) ? x.toExponential(1) : +x.toPrecision(6) + "");

  function axes(xIsTime, yName, xName) {
    const style = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") }, font: "12px system-ui" };
    return [
      { ...style, label: xName, labelSize: 22, labelFont: "12px system-ui", values: xIsTime ? undefined : (u, ticks) => ticks.map(format) },
      { ...style, label: yName, labelSize: 22, labelFont: "12px system-ui", size: 64, values: (u, ticks) => ticks.map(format) },
    ];
  }

  function mark(context, shape, x, y, r) {
    context.beginPath();
    if (shape === "square") context.rect(x - r, y - r, 2 * r, 2 * r);
    else if (shape === "triangle") { context.moveTo(x, y - r * 1.2); context.lineTo(x + r * 1.1, y + r); context.lineTo(x - r * 1.1, y + r); context.closePath(); }
    else if (shape === "diamond") { context.moveTo(x, y - r * 1.3); context.lineTo(x + r * 1.3, y); context.lineTo(x, y + r * 1.3); context.lineTo(x - r * 1.3, y); context.closePath(); }
    else context.arc(x, y, r, 0, 2 * Math.PI);
    context.fill();
  }

  function scatter(element) {
    const { x, y, names, colour, lines, points } = JSON.parse(element.dataset.points);
    const groups = [...new Set(points.map((p) => p[2]))].slice(0, 24);
    const rows = points.filter((p) => groups.includes(p[2])).sort((a, b) => a[0] - b[0]);
    const xs = rows.map((p) => p[0]);
    const data = [xs, ...groups.map((g) => rows.map((p) => (p[2] === g ? p[1] : null)))];
    const log = xs.length > 2 && xs[0] > 0 && xs[xs.length - 1] / xs[0] >= 300 && x !== "started";
    const tip = Object.assign(document.createElement("div"), { className: "chart-tip", hidden: true });
    const pick = (u) => {
      const { left, top } = u.cursor;
      let best = null, distance = 18;
      rows.forEach((p, i) => {
        const d = Math.hypot(u.valToPos(p[0], "x") - left, u.valToPos(p[1], "y") - top);
        if (d < distance) { distance = d; best = p; }
      });
      return best;
    };
    const options = {
      width: element.clientWidth - 24, height: Math.max(300, element.clientHeight - (colour ? 60 : 24)),
      scales: { x: { time: x === "started", distr: log ? 3 : 1 } },
      axes: axes(x === "started", names[1], names[0]), legend: { show: false },
      cursor: { points: { show: false }, drag: { x: true, y: true } },
      series: [{}, ...groups.map((g, i) => ({
        label: g || y, stroke: COLOURS[i % COLOURS.length], width: lines ? 1.6 : 0, spanGaps: true,
        paths: lines ? undefined : () => null,
        points: { show: (u, s, i0, i1) => {
          const context = u.ctx;
          context.save();
          context.fillStyle = COLOURS[i % COLOURS.length];
          context.globalAlpha = rows.length > 400 ? 0.55 : 0.9;
          for (let k = i0; k <= i1; k++) {
            const value = u.data[s][k];
            if (value !== null) mark(context, SHAPES[Math.floor(i / COLOURS.length) % 4 + 0] && SHAPES[i % 4], u.valToPos(u.data[0][k], "x", true), u.valToPos(value, "y", true), 4 * devicePixelRatio);
          }
          context.restore();
          return false;
        } },
      }))],
      hooks: {
        setCursor: [(u) => {
          const p = pick(u);
          tip.hidden = !p;
          u.over.style.cursor = p ? "pointer" : "";
          if (p) {
            tip.textContent = `${x === "started" ? new Date(p[0] * 1000).toISOString().slice(0, 16).replace("T", " ") : format(p[0])} → ${format(p[1])}${p[2] ? ` · ${p[2]}` : ""}`;
            tip.style.left = `${Math.min(u.valToPos(p[0], "x") + 12, u.over.clientWidth - tip.offsetWidth)}px`;
            tip.style.top = `${u.valToPos(p[1], "y") - 34}px`;
          }
        }],
        ready: [(u) => {
          u.over.append(tip);
          u.over.addEventListener("click", () => { const p = pick(u); if (p) location.href = element.dataset.runUrl.replace("/0", `/${p[3]}`); });
        }],
      },
    };
    draw(element, options, data);
    if (colour) key(element, groups, names[2]);
    const body = document.querySelector("[data-points-table] tbody");
    if (body && !body.children.length) for (const p of rows.slice(0, 500)) {
      const row = body.insertRow();
      const link = Object.assign(document.createElement("a"), { href: element.dataset.runUrl.replace("/0", `/${p[3]}`), textContent: `run ${p[3]}` });
      row.insertCell().append(link);
      for (const v of [p[0], p[1]]) Object.assign(row.insertCell(), { textContent: format(v), className: "num" });
      if (colour) row.insertCell().textContent = p[2];
    }
  }

  function key(element, groups, name) {
    const box = Object.assign(document.createElement("div"), { className: "chart-key" });
    box.append(Object.assign(document.createElement("span"), { textContent: name, className: "soft" }));
    groups.forEach((g, i) => {
      const item = document.createElement("span");
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("width", "12"); svg.setAttribute("height", "12");
      const shapes = { circle: "M6 1a5 5 0 1 0 .01 0z", square: "M1.5 1.5h9v9h-9z", triangle: "M6 1l5 10H1z", diamond: "M6 0l6 6-6 6-6-6z" };
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", shapes[SHAPES[i % 4]]);
      path.setAttribute("fill", COLOURS[i % COLOURS.length]);
      svg.append(path);
      item.append(svg, g);
      box.append(item);
    });
    element.append(box);
  }

  function days(element) {
    const rows = JSON.parse(element.dataset.days);
    const data = [rows.map((r) => Date.parse(r.day) / 1000), rows.map((r) => r.saved_s / 3600)];
    draw(element, {
      width: element.clientWidth - 24, height: 200, legend: { show: false }, cursor: { drag: { x: false } },
      scales: { y: { range: (u, low, high) => [0, Math.max(high * 1.1, 0.01)] } },
      axes: axes(true, "hours", ""),
      series: [{}, { label: "hours saved", stroke: css("--accent"), fill: css("--accent-wash"), width: 1.5, paths: uPlot.paths.bars({ size: [0.7, 40] }), points: { show: false } }],
    }, data);
  }

  // Figures made with Plotly are drawn here without its megabyte of code: lines, points and bars.
  function plotly(element) {
    const figure = JSON.parse(element.dataset.plotly);
    const traces = (figure.data ?? []).filter((t) => ["scatter", "scattergl", "bar", undefined].includes(t.type)).slice(0, 24);
    const series = traces.map((t) => { const y = numbers(t.y); return { name: t.name ?? "", bars: t.type === "bar", marks: (t.mode ?? "").includes("markers"), lines: !t.mode || t.mode.includes("lines"), y, x: numbers(t.x) ?? y?.map((_, i) => i) }; }).filter((s) => s.x && s.y);
    const title = (part) => figure.layout?.[part]?.title?.text ?? "";
    if (!series.length) {
      element.classList.remove("chart");
      element.append(Object.assign(document.createElement("p"), { className: "soft", textContent: "A Plotly figure of a kind that is not drawn here; open the result in Python to see it." }));
      return;
    }
    const xs = [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
    const data = [xs, ...series.map((s) => { const at = new Map(s.x.map((x, i) => [x, s.y[i]])); return xs.map((x) => at.get(x) ?? null); })];
    if (figure.layout?.title?.text) element.append(Object.assign(document.createElement("h3"), { textContent: figure.layout.title.text }));
    draw(element, {
      width: element.clientWidth - 24, height: 320, legend: { show: false }, scales: { x: { time: false } }, axes: axes(false, title("yaxis"), title("xaxis")),
      series: [{}, ...series.map((s, i) => ({ label: s.name, stroke: COLOURS[i % COLOURS.length], spanGaps: true, width: s.lines && !s.bars ? 1.8 : s.bars ? 1 : 0, fill: s.bars ? COLOURS[i % COLOURS.length] + "99" : undefined, paths: s.bars ? uPlot.paths.bars({ size: [0.7, 60] }) : s.lines ? undefined : () => null, points: { show: s.marks, size: 7, fill: COLOURS[i % COLOURS.length] } }))],
    }, data);
    if (series.length > 1) key(element, series.map((s) => s.name), "");
  }

  function numbers(values) {
    if (values?.bdata) {
      const bytes = Uint8Array.from(atob(values.bdata), (c) => c.charCodeAt(0));
      const kinds = { f8: Float64Array, f4: Float32Array, i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array };
      return kinds[values.dtype] ? [...new kinds[values.dtype](bytes.buffer)] : null;
    }
    if (!Array.isArray(values)) return null;
    return values.every((v) => typeof v === "number" || v === null) ? values : values.map((_, i) => i);
  }

  function draw(element, options, data) {
    $$(".uplot, .chart-key, h3", element).forEach((old) => old.classList.contains("uplot") || old.classList.contains("chart-key") ? old.remove() : null);
    element.chart = new uPlot(options, data, element);
  }

  function drawAll() {
    if (typeof uPlot === "undefined") return;
    for (const element of $$("[data-points]")) scatter(element);
    for (const element of $$("[data-days]")) days(element);
    for (const element of $$("[data-plotly]")) { element.textContent = ""; plotly(element); }
  }
  addEventListener("hitsave-theme", drawAll);
  // On a phone the menu is one line that scrolls: show where we are.
  const menu = document.querySelector(".side nav"), current = menu && menu.querySelector("[aria-current]");
  if (current) menu.scrollLeft = current.offsetLeft - menu.offsetLeft - (menu.clientWidth - current.offsetWidth) / 2;
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
  drawAll();
})();
