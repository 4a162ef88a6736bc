/* folder.h - whole files and folders in the private data folder: what backup and restore do with names.
 * Every function is for any thread. 0 or -1 with errno. */
#ifndef SERVER_STORE_FOLDER_H
#define SERVER_STORE_FOLDER_H

#include <stdbool.h>

/* Whether something lies there under that name; never follows a link. */
bool folder_has(int dir, const char *name);
/* Removes a folder of plain files and one level of folders in it. None is fine. */
int folder_remove(int dir, const char *name);
/* Makes an empty folder of that name, mode 0700, whatever lay there before, and opens it: a descriptor. */
int folder_make(int dir, const char *name);
int folder_sync(int dir, const char *name);
/* A new file of mode 0600: a descriptor. */
int folder_new_file(int dir, const char *name);

#endif
