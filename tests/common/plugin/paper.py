"""A plugin for tests: keys on paper. Speaks https://c2sp.org/age-plugin and hides nothing from anybody. Files in the
directory that HOME names say how it behaves: with `refuse` it refuses, with `locked` it asks for a word first."""

import base64
import os
import sys


def encode(body):
    return base64.b64encode(body).decode().rstrip("=")


def send(words, body=b""):
    text = encode(body)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append("")
    sys.stdout.write("-> " + " ".join(words) + "\n" + "\n".join(lines) + "\n")
    sys.stdout.flush()


def receive():
    words = sys.stdin.readline().split()[1:]
    text = ""
    while True:
        line = sys.stdin.readline().rstrip("\n")
        text += line
        if len(line) < 64:
            break
    return words, base64.b64decode(text + "=" * (-len(text) % 4))


def ask(words, body=b""):
    send(words, body)
    return receive()


def phase():
    stanzas = []
    while True:
        words, body = receive()
        if words[0] == "done":
            return stanzas
        stanzas.append((words, body))


first = phase()
if os.path.exists(os.path.join(os.environ["HOME"], "refuse")):
    ask(["error", "internal"], b"the paper is wet\x1b[31m")
elif sys.argv[1] == "--age-plugin=recipient-v1":
    for words, body in first:
        if words[0] == "wrap-file-key":
            ask(["recipient-stanza", "0", "paper"], bytes(byte ^ 0x5A for byte in body))
else:
    for words, body in first:
        if words[0] == "recipient-stanza" and words[2] == "paper":
            ask(["msg"], b"reading the paper")
            if os.path.exists(os.path.join(os.environ["HOME"], "locked")):
                if ask(["request-secret"], b"the word on the paper")[0][0] != "ok":
                    ask(["error", "internal"], b"nobody said the word")
                    break
            ask(["file-key", "0"], bytes(byte ^ 0x5A for byte in body))
send(["done"])
