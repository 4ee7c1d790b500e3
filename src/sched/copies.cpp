// SPDX-License-Identifier: Apache-2.0
// One Gort per process: a second copy is refused at boot.                                                  (ours)
//
// Two copies (each linked statically into another shared object) have two schedulers, two sets of signal handlers and two
// ideas of who the current goroutine is: a channel made by one and used by the other corrupts both. Every object that holds
// a copy carries an ELF note; boot counts the notes of all loaded objects.
// Rejected: comparing the address of an exported symbol (RTLD_LOCAL and --exclude-libs hide it); a mark in the environment
// (inherited by exec); a named mapping (reading /proc/self/maps costs more than the loader's own list).
// The same look at the notes finds libgort_hook.so and gives it its table (hook_table.hpp).
// Boot runs once, on a thread that holds no P, so the loader's lock may be taken.  Limit: objects of another dlmopen
// namespace are not in the list.
#include <link.h>

#include "sched/hook_table.hpp"
#include "sched/proc_internal.hpp"

// Elf_Nhdr {namesz, descsz, type}, name, desc (layout version).
__asm__(
    ".pushsection .note.gort,\"a\",@note\n"
    ".balign 4\n"
    ".long 5, 4, 1\n"
    ".asciz \"Gort\"\n"
    ".balign 4\n"
    ".long 1\n"
    ".popsection\n");

namespace gort::rt {

namespace {

constexpr char kOwner[] = "Gort";

struct Copies {
  int n = 0;
  bool oldHook = false;
  const char* name[2] = {"", ""};
};

struct ElfNote {
  uint32 type = 0;
  const uint8* desc = nullptr;  // nullptr: there is none
};

// findNote looks for the note of `owner` (n bytes with the zero) in a segment of notes.
template <std::size_t N>
ElfNote findNote(const uint8* p, std::size_t n, std::size_t align, const char (&owner)[N]) {
  const auto up = [align](std::size_t x) { return (x + align - 1) & ~(align - 1); };
  while (n >= sizeof(ElfW(Nhdr))) {
    const auto* h = reinterpret_cast<const ElfW(Nhdr)*>(p);
    const std::size_t desc = up(sizeof *h + h->n_namesz);
    if (desc > n) return {};
    if (h->n_namesz == N && __builtin_memcmp(p + sizeof *h, owner, N) == 0) return {h->n_type, p + desc};
    const std::size_t next = up(desc + h->n_descsz);
    if (next > n) return {};
    p += next;
    n -= next;
  }
  return {};
}

int lookAt(dl_phdr_info* object, std::size_t, void* arg) {
  auto* c = static_cast<Copies*>(arg);
  bool counted = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& ph = object->dlpi_phdr[i];
    if (ph.p_type != PT_NOTE) continue;
    // SAFETY: a loaded segment of a loaded object; the loader holds it while it lists.
    const auto* p = reinterpret_cast<const uint8*>(object->dlpi_addr + ph.p_vaddr);
    const std::size_t align = ph.p_align == 8 ? 8 : 4;
    if (const ElfNote hook = findNote(p, ph.p_filesz, align, kHookNote); hook.desc != nullptr) {
      if (!offerToHook(hook.type, hook.desc)) c->oldHook = true;
    }
    if (counted || findNote(p, ph.p_filesz, align, kOwner).desc == nullptr) continue;
    if (c->n < 2) c->name[c->n] = object->dlpi_name;
    ++c->n;
    counted = true;
  }
  return 0;
}

}  // namespace

void refuseSecondCopy() {
  Copies c;
  dl_iterate_phdr(lookAt, &c);
  if (c.oldHook) fatal("gort: libgort_hook.so is of another version than Gort");
  if (c.n < 2) return;
  {
    Printer p;
    p << "gort: one copy is in " << (c.name[0][0] == 0 ? "the program" : c.name[0]) << ", another in "
      << c.name[1] << ": link both against libgort.so\n";
  }
  fatal("gort: two copies of the library in one process");
}

}  // namespace gort::rt
