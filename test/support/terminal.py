"""
Runs a program on a terminal of its own: terminal.py PATTERN ACTIONS PROGRAM ARGUMENT ...

When PATTERN has appeared, does the ACTIONS, half a second apart: names of signals, which are sent to the program; "^C", which is typed;
"close", which closes the terminal. Writes what the program has written, then a line with its exit code, negative: the signal that ended it.
"""
import os
import pty
import re
import select
import signal
import sys
import time

pattern, actions, program = sys.argv[1].encode(), sys.argv[2].split(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(program[0], program)
written = b''
due = None
while terminal is not None:
    if select.select([terminal], [], [], 0.05)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux: the program has ended
            piece = b''
        if not piece:
            break
        written += piece
    if due is None and re.search(pattern, written):
        due = time.monotonic()
    if due is not None and actions and time.monotonic() >= due:
        action = actions.pop(0)
        due += 0.5
        if action == 'close':
            os.close(terminal)
            terminal = None
        elif action == '^C':
            os.write(terminal, b'\x03')
        else:
            os.kill(pid, getattr(signal, action))
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(written + b'\n%d\n' % code)
