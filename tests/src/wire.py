"""Network namespaces on one lossy wire: wire.py NAME ADDRESS [NAME ADDRESS]... (as root, on Linux)

Makes a namespace of each NAME with ADDRESS/24 on a TUN device, and carries datagrams between them. A line `loss N`, `double N` (in percent),
`late N` (at most so many milliseconds, so that they overtake each other), `split ADDRESS...` (these are cut off from the others) or `heal`
changes the wire and is answered `ok`. The end of the input removes the namespaces.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000


def ip(*args):
    subprocess.run(["ip", *args], check=True, stderr=subprocess.DEVNULL)


def enter(path):
    space = os.open(path, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(space, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(space)


def device(name, address):
    """A namespace with a TUN device; gives the device's file."""
    ip("netns", "add", name)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter("/run/netns/" + name)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"wire0", IFF_TUN | IFF_NO_PI))
    ip("link", "set", "lo", "up")
    ip("link", "set", "wire0", "txqueuelen", "10000")
    ip("addr", "add", address + "/24", "dev", "wire0")
    ip("link", "set", "wire0", "mtu", "60000", "up")
    if ctypes.CDLL(None).setns(home, CLONE_NEWNET) != 0:
        raise OSError("setns")
    os.close(home)
    return tun


def main():
    pairs = list(zip(sys.argv[1::2], sys.argv[2::2]))
    made = []
    try:
        ends = {}
        for name, address in pairs:
            made.append(name)
            ends[socket.inet_aton(address)] = device(name, address)
        print("ready", flush=True)
        carry(ends)
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def carry(ends):
    owners = {tun: address for address, tun in ends.items()}
    loss = double = late = 0
    side = set()
    air, serial = [], 0
    poll = select.poll()
    for tun in owners:
        poll.register(tun, select.POLLIN)
    poll.register(0, select.POLLIN)
    rest = b""
    while True:
        now = time.monotonic()
        while air and air[0][0] <= now:
            _, _, tun, packet = heapq.heappop(air)
            try:
                os.write(tun, packet)
            except OSError:
                pass
        wait = max(0, int((air[0][0] - now) * 1000)) if air else 1000
        for fd, _ in poll.poll(wait):
            if fd == 0:
                came = os.read(0, 4096)
                if not came:
                    return
                *lines, rest = (rest + came).split(b"\n")
                for line in lines:
                    word, *args = line.decode().split()
                    if word == "loss":
                        loss = int(args[0])
                    elif word == "double":
                        double = int(args[0])
                    elif word == "late":
                        late = int(args[0])
                    elif word == "split":
                        side = {socket.inet_aton(address) for address in args}
                    elif word == "heal":
                        side = set()
                    print("ok", flush=True)
                continue
            for _ in range(64):
                try:
                    packet = os.read(fd, 65536)
                except BlockingIOError:
                    break
                to = packet[16:20]
                if packet[0] >> 4 != 4 or to not in ends:
                    continue
                if (owners[fd] in side) != (to in side) or random.random() * 100 < loss:
                    continue
                for _ in range(2 if random.random() * 100 < double else 1):
                    serial += 1
                    due = now + random.random() * late / 1000 if late else now
                    heapq.heappush(air, (due, serial, ends[to], packet))


main()
