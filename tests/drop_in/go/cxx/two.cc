#include "largest.h"

extern "C" int largestToo(int a, int b) { return largest_of(a, b); }
