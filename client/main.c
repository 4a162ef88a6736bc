/* mpc - the model provider client. Everything is in app.c; tests link the rest without this file. */
#include "client/app.h"

int
main(int argc, char **argv)
{
	return app_main(argc, argv);
}
