#include "keeper/code.h"

const char *code_name(int code)
{
    switch ((enum code)code) {
#define CODE_TEXT(name, number)                                                                    \
    case CODE_##name: return #name;
        CODE_LIST(CODE_TEXT)
#undef CODE_TEXT
    }
    return "UNKNOWN";
}
