// Calls `show` at each change with the number of nodes and the throughput of those online, in bytes per second.
function follow(url, show) {
  let nodes;
  const accumulate = (steps, row = 0) => steps.map((step) => (row += step));
  const value = (code) => (code.includes("_") ? 0 : parseInt(code, 36));
  const rate = (code) => (value(code) % 1000) * 10 ** Math.floor(value(code) / 1000);
  const put = (rows, columns) =>
    rows.forEach((row, at) => {
      const node = nodes.get(row) ?? {};
      for (const name of ["name", "status"]) if (columns[name]) node[name] = columns[name][at];
      for (const way of ["rx", "tx"]) if (columns[way]) node[way] = rate(columns[way].slice(3 * at, 3 * at + 3));
      nodes.set(row, node);
    });
  // It reconnects and resumes automatically after the newest event with an id.
  const source = new EventSource(`${url}/api/stream`);
  const listen = (event) =>
    source.addEventListener(event, (message) => {
      const data = JSON.parse(message.data);
      if (event === "snapshot") {
        nodes = new Map();
        put([...data.nodes.name.keys()], data.nodes);
      }
      for (const row of accumulate(data.gone ?? [])) nodes.delete(row);
      for (const part of [data.put, data.status, data.rates]) if (part) put(accumulate(part.i), part.nodes ?? part);
      const known = [...nodes.values()].filter((node) => node.name != null);
      const online = known.filter((node) => node.status === 0);
      const sum = (way) => online.reduce((total, node) => total + node[way], 0);
      show({ event, nodes: known.length, online: online.length, download: sum("rx"), upload: sum("tx") });
    });
  ["snapshot", "delta"].forEach(listen);
  return source;
}
