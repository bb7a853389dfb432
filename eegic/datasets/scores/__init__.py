"""From MIDI to sound.

`score` holds the notes of a piece, `midi` reads and writes them, `rendering` plays them, and `agreement` tells whether
a sound goes with an envelope that was shipped without it.
"""
