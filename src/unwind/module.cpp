// SPDX-License-Identifier: Apache-2.0
#include "unwind/module.hpp"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include <new>

#include "unwind/file_map.hpp"

#if !defined(DLFO_STRUCT_HAS_EH_DBASE)
// glibc before 2.35 has no declaration; the weak reference below is then null in every process that runs
// there.
struct dl_find_object {
  unsigned long long int dlfo_flags;
  void* dlfo_map_start;
  void* dlfo_map_end;
  struct link_map* dlfo_link_map;
  void* dlfo_eh_frame;
  unsigned long long int dlfo_reserved[7];
};
#endif

extern "C" int gortDlFindObject(void*, dl_find_object*) noexcept __asm__("_dl_find_object")
    __attribute__((weak, visibility("default")));

namespace gort::rt {

namespace {

constinit Atomic<Module*> moduleList;

std::size_t length(const char* s) {
  std::size_t n = 0;
  while (s[n] != 0) ++n;
  return n;
}

using DlFindObject = int (*)(void*, dl_find_object*) noexcept;

// dlFindObject is the loader's function by its address: a call through the lazy PLT could run the dynamic
// linker here.
DlFindObject dlFindObject() {
  DlFindObject fn = &gortDlFindObject;
  __asm__("" : "+r"(fn));
  return fn;
}

uint64 fold(const dl_find_object& o) {
  const uint64 a = reinterpret_cast<uint64>(o.dlfo_map_start), b = reinterpret_cast<uint64>(o.dlfo_map_end),
               c = reinterpret_cast<uint64>(o.dlfo_eh_frame), d = reinterpret_cast<uint64>(o.dlfo_link_map);
  uint64 h = a * 0x9e3779b97f4a7c15ULL;
  h = (h ^ b) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ c ^ (h >> 29)) * 0x94d049bb133111ebULL;
  h = (h ^ d ^ (h >> 31)) * 0x9e3779b97f4a7c15ULL;
  return (h ^ (h >> 32)) | 1;
}

struct ModuleKey {
  uintptr bias = 0;
  AddrRange map;
  uint64 identity = 0;
  const char* path = "";
};

// headerOf checks for an ELF header in memory. Requires: a page is readable there.
bool headerOf(const uint8* image, Elf64_Ehdr& eh) {
  __builtin_memcpy(&eh, image, sizeof eh);
  // The program headers follow the header in every linker's output; further away than a page they may not be
  // mapped.
  return __builtin_memcmp(eh.e_ident, ELFMAG, SELFMAG) == 0 && eh.e_ident[EI_CLASS] == ELFCLASS64 &&
         eh.e_phentsize == sizeof(Elf64_Phdr) && eh.e_phoff <= kPageSize &&
         eh.e_phoff + uint64{eh.e_phnum} * sizeof(Elf64_Phdr) <= kPageSize;
}

// readHeaders fills the segment fields from the ELF header that the first segment maps.
void readHeaders(Module& m, const uint8* image) {
  Elf64_Ehdr eh;
  if (!headerOf(image, eh)) return;
  m.image = image;
  m.imageSize = eh.e_phoff + uint64{eh.e_phnum} * sizeof(Elf64_Phdr);
  Elf64_Phdr ph, hdr{};
  unsigned nexec = 0;
  for (unsigned i = 0; i < eh.e_phnum; ++i) {
    __builtin_memcpy(&ph, image + eh.e_phoff + i * sizeof ph, sizeof ph);
    if (ph.p_type == PT_GNU_EH_FRAME) hdr = ph;
    if (ph.p_type == PT_LOAD && (ph.p_flags & PF_X) != 0 && nexec < Module::kMaxExec) {
      m.exec[nexec++] = AddrRange{m.bias + ph.p_vaddr, m.bias + ph.p_vaddr + ph.p_memsz};
    }
  }
  if (hdr.p_type != PT_GNU_EH_FRAME || hdr.p_memsz < 4) return;
  for (unsigned i = 0; i < eh.e_phnum; ++i) {
    __builtin_memcpy(&ph, image + eh.e_phoff + i * sizeof ph, sizeof ph);
    if (ph.p_type != PT_LOAD || (ph.p_flags & PF_R) == 0) continue;
    if (hdr.p_vaddr < ph.p_vaddr || hdr.p_memsz > ph.p_filesz) continue;
    if (hdr.p_vaddr - ph.p_vaddr > ph.p_filesz - hdr.p_memsz) continue;
    m.ehSegment = AddrRange{m.bias + ph.p_vaddr, m.bias + ph.p_vaddr + ph.p_filesz};
    m.ehFrameHdr = reinterpret_cast<const uint8*>(m.bias + hdr.p_vaddr);
    m.ehFrameHdrSize = hdr.p_memsz;
  }
}

Module* lookup(const ModuleKey& k) {
  for (Module* m = moduleList.load(Order::acquire); m != nullptr; m = m->next) {
    if (m->map.lo == k.map.lo && m->map.hi == k.map.hi && m->bias == k.bias && m->identity == k.identity &&
        sameText(m->path, k.path)) {
      return m;
    }
  }
  return nullptr;
}

// publish makes the module known; path is copied behind the object.
Module* publish(const ModuleKey& k) {
  const std::size_t n = length(k.path) + 1;
  auto* raw = static_cast<char*>(mapAlloc(sizeof(Module) + n));
  if (raw == nullptr) return nullptr;
  Module* m = new (raw) Module{};
  char* text = raw + sizeof(Module);
  for (std::size_t i = 0; i < n; ++i) text[i] = k.path[i];
  m->bias = k.bias;
  m->map = k.map;
  m->identity = k.identity;
  m->path = text;
  readHeaders(*m, reinterpret_cast<const uint8*>(k.map.lo));
  Module* head = moduleList.load(Order::acquire);
  do {
    m->next = head;
  } while (!moduleList.compareExchange(head, m, Order::release, Order::acquire));
  return m;
}

Module* intern(const ModuleKey& k) {
  Module* m = lookup(k);
  return m != nullptr ? m : publish(k);
}

bool isVdso(const char* name) { return sameText(name, "linux-vdso.so.1"); }

// One line of /proc/self/maps.
struct MapLine {
  AddrRange range;
  uint64 offset = 0, inode = 0;
  char path[512];
};

class MapsReader {
 public:
  explicit MapsReader(long fd) : fd_(fd) {}
  bool next(MapLine& l) {
    if (!hex(l.range.lo, '-') || !hex(l.range.hi, ' ') || !skipField()) return false;
    uint64 unused;
    if (!hex(l.offset, ' ') || !hex(unused, ':') || !hex(unused, ' ')) return false;
    l.inode = 0;
    int c = get();
    for (; c >= '0' && c <= '9'; c = get()) l.inode = l.inode * 10 + static_cast<uint64>(c - '0');
    while (c == ' ') c = get();
    std::size_t n = 0;
    for (; c >= 0 && c != '\n'; c = get()) {
      if (n + 1 < sizeof l.path) l.path[n++] = static_cast<char>(c);
    }
    l.path[n] = 0;
    return true;
  }

 private:
  int get() {
    if (at_ == n_) {
      n_ = os::sys(SYS_read, fd_, buf_, sizeof buf_);
      at_ = 0;
      if (n_ <= 0) {
        n_ = 0;
        return -1;
      }
    }
    return static_cast<unsigned char>(buf_[at_++]);
  }
  bool hex(uint64& v, int stop) {
    v = 0;
    for (;;) {
      const int c = get();
      if (c == stop) return true;
      if (c >= '0' && c <= '9') {
        v = v * 16 + static_cast<uint64>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        v = v * 16 + static_cast<uint64>(c - 'a' + 10);
      } else {
        return false;
      }
    }
  }
  bool skipField() {
    for (;;) {
      const int c = get();
      if (c == ' ') return true;
      if (c < 0) return false;
    }
  }
  long fd_;
  long n_ = 0, at_ = 0;
  char buf_[512];
};

// loadRange reads where the object lies: its bias from the segment that maps file offset 0, and its extent.
bool loadRange(const uint8* image, uintptr& bias, AddrRange& range) {
  Elf64_Ehdr eh;
  if (!headerOf(image, eh)) return false;
  bool first = true;
  for (unsigned i = 0; i < eh.e_phnum; ++i) {
    Elf64_Phdr ph;
    __builtin_memcpy(&ph, image + eh.e_phoff + i * sizeof ph, sizeof ph);
    if (ph.p_type != PT_LOAD) continue;
    if (first) {
      bias = reinterpret_cast<uintptr>(image) - alignDown(ph.p_vaddr - ph.p_offset, kPageSize);
      range.lo = reinterpret_cast<uintptr>(image);
    }
    range.hi = bias + ph.p_vaddr + ph.p_memsz;
    first = false;
  }
  return !first;
}

bool samePath(const MapLine& a, const MapLine& b) { return a.inode == b.inode && sameText(a.path, b.path); }

// objectInMaps finds the object around pc in /proc/self/maps: first.range.lo is where its file offset 0 is
// mapped.
bool objectInMaps(uintptr pc, MapLine& first) {
  const long fd = fileOpen("/proc/self/maps");
  if (fd < 0) return false;
  MapsReader reader(fd);
  MapLine l{};
  bool found = false, have = false;
  while (!found && reader.next(l)) {
    if (!have || !samePath(first, l) || l.offset == 0) first = l;
    have = true;
    found = l.range.contains(pc);
  }
  fileClose(fd);
  return found && first.offset == 0 && first.inode != 0;
}

// moduleFromMaps: see findModuleFromMaps; `identity` is what findModule will look for.
Module* moduleFromMaps(uintptr pc, uint64 identity) {
  MapLine first{};
  if (!objectInMaps(pc, first)) return nullptr;
  ModuleKey k;
  k.identity = identity;
  k.path = first.path;
  if (!loadRange(reinterpret_cast<const uint8*>(first.range.lo), k.bias, k.map)) return nullptr;
  return k.map.contains(pc) ? intern(k) : nullptr;
}

// vdso returns the kernel's code page as a module; it is in memory only.
Module* vdso(uintptr pc) {
  const auto base = getauxval(AT_SYSINFO_EHDR);
  if (base == 0 || pc < base || pc - base > 64 * kPageSize) return nullptr;
  ModuleKey k;
  if (!loadRange(reinterpret_cast<const uint8*>(base), k.bias, k.map) || !k.map.contains(pc)) return nullptr;
  k.map.hi = alignUp(k.map.hi, kPageSize);
  return intern(k);
}

}  // namespace

uint64 moduleIdentity(uintptr pc) {
  const DlFindObject find = dlFindObject();
  dl_find_object o;
  if (find == nullptr || find(reinterpret_cast<void*>(pc), &o) != 0) return 0;
  return fold(o);
}

Module* findModuleFromMaps(uintptr pc) {
  for (Module* m = moduleList.load(Order::acquire); m != nullptr; m = m->next) {
    if (m->identity == 0 && m->map.contains(pc)) return m;
  }
  Module* m = vdso(pc);
  return m != nullptr ? m : moduleFromMaps(pc, 0);
}

Module* findModule(uintptr pc) {
  const DlFindObject find = dlFindObject();
  if (find == nullptr) return findModuleFromMaps(pc);
  dl_find_object o;
  if (find(reinterpret_cast<void*>(pc), &o) != 0) return vdso(pc);
  ModuleKey k;
  k.identity = fold(o);
  for (Module* m = moduleList.load(Order::acquire); m != nullptr; m = m->next) {
    if (m->identity == k.identity && m->map.contains(pc)) return m;
  }
  k.map = {reinterpret_cast<uintptr>(o.dlfo_map_start), reinterpret_cast<uintptr>(o.dlfo_map_end)};
  Elf64_Ehdr eh;
  // A static executable's map starts with its first code segment: its header must be looked for.
  if (!headerOf(reinterpret_cast<const uint8*>(k.map.lo), eh)) return moduleFromMaps(pc, k.identity);
  if (o.dlfo_link_map != nullptr) {
    k.bias = o.dlfo_link_map->l_addr;
    const char* name = o.dlfo_link_map->l_name;
    k.path = name == nullptr || name[0] == 0 ? "/proc/self/exe" : isVdso(name) ? "" : name;
  }
  return intern(k);
}

}  // namespace gort::rt
