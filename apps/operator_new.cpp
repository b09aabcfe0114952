// operator new of the executables is snmalloc, as mem's allocate() is: they share its state, which is
// in inline variables. Not in libbop, whose embedder's allocator is not ours to choose. Under the
// sanitizers it would hide every use after free.
#if BOP_SNMALLOC
#include <snmalloc/override/new.cc>
#endif
