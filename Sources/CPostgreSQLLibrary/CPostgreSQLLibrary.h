// libpq as Swift sees it: the C interface of the system's headers.
#ifndef CPOSTGRESQLLIBRARY_H
#define CPOSTGRESQLLIBRARY_H

#include <libpq-fe.h>

#endif
