# SPDX-License-Identifier: Apache-2.0
"""tools/object_notes.py sees a missing note and an executable stack."""
import unittest

from support import TreeTest
import object_notes

STACK = '.section .note.GNU-stack,"",@progbits\n'
SPLIT = '.section .note.GNU-split-stack,"",@progbits\n'


class ObjectNotes(TreeTest):
    def archive(self, *sources):
        names = []
        for i, text in enumerate(sources):
            made = self.run_tool("gcc", "-c", self.put(f"o{i}.s", ".text\nnop\n" + text), "-o", f"o{i}.o")
            self.assertEqual(made.returncode, 0, made.stderr)
            names.append(f"o{i}.o")
        self.run_tool("ar", "rcs", "lib.a", *names)
        return object_notes.check(self.root + "/lib.a")

    def test_both_notes(self):
        self.assertEqual(self.archive(STACK + SPLIT, SPLIT + STACK), [])

    def test_a_missing_note(self):
        problems = self.archive(STACK + SPLIT, STACK, SPLIT)
        self.assertFound(problems, r"\(o1\.o\): no \.note\.GNU-split-stack")
        self.assertFound(problems, r"\(o2\.o\): no \.note\.GNU-stack")
        self.assertEqual(len(problems), 2)

    def test_an_executable_stack(self):
        self.assertFound(self.archive(STACK.replace('""', '"x"') + SPLIT), "asks for executable stacks")


if __name__ == "__main__":
    unittest.main()
