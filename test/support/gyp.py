"""Runs node-gyp's generator of makefiles as it would run on a system of another flavor; nothing is built.

    python3 gyp.py PYLIB FLAVOR ARGUMENTS ...

PYLIB is the folder of its Python modules; what gyp would ask Xcode is answered here.
"""

import sys

sys.path.insert(0, sys.argv[1])
import gyp
import gyp.common
import gyp.xcode_emulation as xcode

flavor = sys.argv[2]
gyp.common.GetFlavor = lambda params: flavor
answers = {"--version": "Xcode 15.0\nBuild version 15A000", "--show-sdk-path": "/SDK", "--show-sdk-version": "14.0"}
answer = lambda command: next((text for word, text in answers.items() if word in command), "")
xcode.GetStdout = answer
xcode.GetStdoutQuiet = answer
xcode.XcodeVersion = lambda: ("1500", "15A000")
xcode.XcodeSettings._SdkPath = lambda self, configname=None: "/SDK"
xcode.XcodeSettings._XcodeSdkPath = lambda self, sdk_root: "/SDK"

sys.exit(gyp.main(["-f", "make", *sys.argv[3:]]))
