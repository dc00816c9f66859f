"""Prints at each change the number of nodes and the throughput of those online, in bytes per second: client.py URL"""
import http.client, itertools, json, sys, time, urllib.request, zlib

def events(url):
    headers = {"Accept-Encoding": "gzip"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=15) as stream:
                gzip, text = zlib.decompressobj(wbits=31), b""
                while part := stream.read1():
                    *blocks, text = (text + gzip.decompress(part)).split(b"\n\n")
                    for block in blocks:
                        fields = dict(line.split(": ", 1) for line in block.decode().splitlines())
                        headers |= {"Last-Event-ID": fields["id"]} if "id" in fields else {}
                        yield fields.get("event"), json.loads(fields.get("data", "null"))
        except (OSError, http.client.HTTPException) as error:
            print(error, file=sys.stderr)
        time.sleep(2)  # Then the stream resumes, or begins again with a snapshot.

def put(nodes, rows, columns):
    rate = lambda code: 0 if "_" in code else int(code, 36) % 1000 * 10 ** (int(code, 36) // 1000)
    for at, row in enumerate(rows):
        node = nodes.setdefault(row, {})
        node |= {name: columns[name][at] for name in ("name", "status") if name in columns}
        node |= {name: rate(columns[name][3 * at : 3 * at + 3]) for name in ("rx", "tx") if name in columns}

for event, data in events(sys.argv[1] + "/api/stream"):
    if event == "snapshot":
        nodes = {}
        put(nodes, range(len(data["nodes"]["name"])), data["nodes"])
    if event == "delta":
        for row in itertools.accumulate(data.get("gone", [])):
            nodes.pop(row, None)
        for part in [data[name] for name in ("put", "status", "rates") if name in data]:
            put(nodes, itertools.accumulate(part["i"]), part.get("nodes", part))
    if event in ("snapshot", "delta"):
        known = [node for node in nodes.values() if node.get("name") is not None]
        online = [node for node in known if node["status"] == 0]
        download, upload = (sum(node[way] for node in online) for way in ("rx", "tx"))
        print(event, "nodes", len(known), "online", len(online), "download", download, "upload", upload, flush=True)
