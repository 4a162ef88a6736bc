/* manager.h - the service manager that started us: what it asked to be told (sd_notify's protocol). */
#ifndef SERVER_MANAGER_H
#define SERVER_MANAGER_H

/* "READY=1", "STOPPING=1", ... to the socket of NOTIFY_SOCKET; NULL or "" = nobody asked. What goes wrong is
 * logged and nothing else. */
void manager_tell(const char *notify_socket, const char *state);

#endif
