/* Prints a port of the loopback interface that is free now. */
#include "test/crash/process.h"

#include <stdio.h>

int main(void)
{
    printf("%u\n", process_free_port());
    return 0;
}
