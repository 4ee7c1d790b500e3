// SPDX-License-Identifier: Apache-2.0
// Included first into every object of the library. The note tells the linker that the code gets along with split stacks (it
// runs on stacks of its own), so code compiled with -fsplit-stack calls it without asking for a large segment first. The
// assembly says the same for itself; tools/object_notes.py looks at every object.
__asm__(".pushsection .note.GNU-split-stack,\"\",@progbits\n\t.popsection");
