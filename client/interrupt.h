/* interrupt.h - Ctrl-C as something to read, for commands that have to clean up. */
#ifndef CLIENT_INTERRUPT_H
#define CLIENT_INTERRUPT_H

/* From now on SIGINT and SIGTERM write a byte to the descriptor that is returned, -1 on failure; a
 * second signal ends the program at once. */
int interrupt_catch(void);
/* Takes the byte away. The number of the signal, 0 = there was none. */
int interrupt_take(void);
void interrupt_release(void);

#endif
