/* placeholder replaced by the generator */
#include <stdio.h>
int main(int argc, char **argv)
{
    char path[4096];
    if (argc < 2)
        return 1;
    snprintf(path, sizeof path, "%s/empty.c", argv[1]);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return 1;
    fputs("extern const int wire_empty;\nconst int wire_empty = 0;\n", file);
    return fclose(file);
}
