"""Small files that become huge: refused, or read within bounds, in a process whose memory is watched."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0
GROWTH_BYTES = 1 << 30

WRITE = """
import io, struct, sys, tarfile, zipfile, zlib, gzip, lzma, bz2
from pathlib import Path
import numpy as np
folder = Path(sys.argv[2])

def png(width, height, depth, colour, inside=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">II5B", width, height, depth, colour, 0, 0, 0)
    bits = {0: 1, 2: 3, 6: 4}[colour] * depth
    row = bytes((width * bits + 7) // 8 + 1)
    deflate = zlib.compressobj(1)
    data = b"".join(deflate.compress(row * 64) for _ in range(-(-height // 64))) + deflate.flush()
    whole = chunk(b"IHDR", header) + inside + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return bytes([137]) + b"PNG" + bytes([13, 10, 26, 10]) + whole

def zeros(megabytes, compressor):
    block = bytes(1 << 20)
    return b"".join(compressor.compress(block) for _ in range(megabytes)) + compressor.flush()

def raw_deflate(megabytes):
    return zeros(megabytes, zlib.compressobj(1, zlib.DEFLATED, -15))

def zip_with(name, megabytes, claimed):
    data = raw_deflate(megabytes)
    head = (20, 0, 8, 0, 33, 0, len(data), claimed, len(name), 0)
    local = struct.pack("<4s5H3L2H", b"PK" + bytes([3, 4]), *head) + name + data
    central = struct.pack("<4s6H3L5H2L", b"PK" + bytes([1, 2]), 20, *head, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2LH", b"PK" + bytes([5, 6]), 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end

def tar_header(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf()
"""
BOMBS = {
    "png of 3.6 gigapixels": ("image", 'out = png(60000, 60000, 1, 0)'),
    "png just under the cap, 16 bits, four channels": ("image", 'out = png(6300, 6300, 16, 6)'),
    "png just over the cap": ("image", 'out = png(6400, 6400, 8, 2)'),
    "png with a text chunk of 500 MB": (
        "image",
        'text = b"a" + bytes(2) + zeros(500, zlib.compressobj(1))\n'
        'chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))\n'
        'out = png(8, 8, 8, 0, chunk)',
    ),
    "zip whose member has 2 GB": ("source", 'out = zip_with(b"happy/a.png", 2048, 2048 << 20)'),
    "zip whose member has 900 MB": ("source", 'out = zip_with(b"happy/a.png", 900, 900 << 20)'),
    "zip whose member has 900 MB and says 9 bytes": ("source", 'out = zip_with(b"happy/a.png", 900, 9)'),
    "tar.gz of 1 GB": (
        "source",
        'out = gzip.compress(tar_header("happy/a.png", 1 << 30), 1) + zeros(1024, zlib.compressobj(1, 8, 31))',
    ),
    "tar.xz of 1 GB": ("source", 'out = lzma.compress(tar_header("happy/a.png", 1 << 30)) + '
                                 'zeros(1024, lzma.LZMACompressor(preset=0))'),
    "tar whose member says 1 TB": ("source", 'out = tar_header("happy/a.png", 1 << 40) + bytes(4096)'),
    "csv whose line has 2 GB": ("csv", 'out = b"pixels\\n1 2 3 4\\n"; spare = 2 << 30'),
    "csv of 20 million columns": ("csv", 'out = b"a," * 20_000_000'),
    "fer2013.csv whose line has 2 GB": ("fer2013", 'out = b"emotion,pixels,Usage\\n"; spare = 2 << 30'),
    "parquet with a page of 1 GB": (
        "parquet",
        'import pyarrow as pa, pyarrow.parquet as pq\n'
        'column = pa.array([bytes(1 << 20)] * 1024)\n'
        'sink = io.BytesIO()\n'
        'pq.write_table(pa.table({"picture": column}), sink, compression="zstd", use_dictionary=False)\n'
        'out = sink.getvalue()',
    ),
}  # fmt: skip
READ = """
import json, resource, sys, time
from pathlib import Path
from fer_data import images
from fer_data.adapters import fer2013, folders, huggingface, table
from fer_data.downloads.opening import open_source
from fer_data.errors import FerError
import pyarrow.parquet, pandas
kind, path = sys.argv[1], Path(sys.argv[2])
before, start, told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), "right"
try:
    if kind == "image":
        images.decode(path.read_bytes(), "bomb")
    elif kind == "source":
        source = open_source(path, [])
        for name in source.names:
            source.read(name)
    elif kind == "csv":
        list(table.read(path, table.Options(pixels="pixels"), []).samples)
    elif kind == "parquet":
        list(map(len, (s.image for s in table.read(path, table.Options(bytes="picture"), []).samples)))
    else:
        list(fer2013.read(path, fer2013.Options(), []).samples)
except FerError as error:
    told = f"refused: {error}"
growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(json.dumps({"told": told, "growth": growth, "seconds": time.monotonic() - start}))
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_or_read_within_bounds(tmp_path, name, figure):
    kind, write = BOMBS[name]
    path = tmp_path / ("fer2013.csv" if kind == "fer2013" else "bomb.parquet" if kind == "parquet" else "bomb.csv")
    script = (
        f"{WRITE}\nspare = 0\n{write}\nwith (folder / {path.name!r}).open('wb') as file:\n"
        "    file.write(out)\n    file.truncate(len(out) + spare)\n"
    )
    python("-c", script, "write", str(tmp_path))
    start = time.monotonic()
    told = json.loads(python("-c", READ, kind, str(path)).splitlines()[-1])
    print(told)
    within = told["growth"] < GROWTH_BYTES and told["seconds"] < SECONDS
    figure(
        f"memory that a bomb takes: {name}",
        round(told["growth"] / 2**20, 1),
        "MB",
        f"< {GROWTH_BYTES >> 20} MB within {SECONDS:g} s",
        within,
        1,
        seconds=time.monotonic() - start,
        outcome=told["told"].partition(":")[0],
    )
    assert within, told


def python(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
