#include "server/vault/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "server/vault/seal.h"

#define CREDENTIAL_NAME "modelpd-master"

int
source_key(const unsigned char salt[DERIVE_SALT_BYTES], const char *bytes, size_t n, const char *who,
    struct secret **kek, struct error *err)
{
	struct secret *key;

	if (n > 0 && bytes[n - 1] == '\n')
		n--;
	if (n < SOURCE_MIN_BYTES || n > SOURCE_MAX_BYTES) {
		error_set(err, MP_E_NOT_PERMITTED, "%s gives %zu bytes, a key has %d to %d", who, n,
		    SOURCE_MIN_BYTES, SOURCE_MAX_BYTES);
		error_hint(err, "make a random one: head -c 32 /dev/urandom | base64");
		return MP_E_NOT_PERMITTED;
	}
	if ((key = secret_new(NULL, SEAL_KEY_BYTES)) == NULL)
		return error_set(err, MP_E_INTERNAL, "no locked memory for the key");
	crypto_generichash((unsigned char *)secret_mutable(key), SEAL_KEY_BYTES,
	    (const unsigned char *)bytes, n, salt, DERIVE_SALT_BYTES);
	*kek = key;
	return 0;
}

/* ---- the systemd credential ---- */

/* The service manager's, or ours. Where it gives a service access by an access list, the list's mask
 * shows as the group's right to read. */
static int
check_file(int fd, struct error *err)
{
	struct stat st;
	mode_t open_to_others;

	if (fstat(fd, &st) != 0)
		return error_set(err, MP_E_STORAGE, "cannot look at the credential %s: %s", CREDENTIAL_NAME,
		    strerror(errno));
	open_to_others = st.st_uid == 0 && st.st_gid == 0 ? 037 : 077;
	if (!S_ISREG(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()) ||
	    (st.st_mode & open_to_others) != 0) {
		error_set(err, MP_E_NOT_PERMITTED,
		    "the credential %s is no file that only we and the system can read", CREDENTIAL_NAME);
		error_hint(err, "see LoadCredential= in systemd.exec(5)");
		return MP_E_NOT_PERMITTED;
	}
	return 0;
}

static int
open_file(struct error *err)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	int dir, fd = -1, error = ENOENT;

	if (folder == NULL || folder[0] != '/') {
		error_set(err, MP_E_NOT_FOUND, "the service manager gave no credentials");
		error_hint(err, "in the unit: LoadCredential=%s:PATH", CREDENTIAL_NAME);
		return MP_E_NOT_FOUND;
	}
	if ((dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		fd = openat(dir, CREDENTIAL_NAME,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		error = errno;
		close(dir);
	}
	if (fd >= 0)
		return fd;
	error_set(err, error == ENOENT ? MP_E_NOT_FOUND : MP_E_NOT_PERMITTED,
	    "the credential %s cannot be read: %s", CREDENTIAL_NAME, strerror(error));
	error_hint(err, "in the unit: LoadCredential=%s:PATH", CREDENTIAL_NAME);
	return err != NULL ? err->code : MP_E_NOT_FOUND;
}

int
source_credential(const unsigned char salt[DERIVE_SALT_BYTES], struct secret **kek, struct error *err)
{
	struct secret *raw = secret_new(NULL, SOURCE_MAX_BYTES + 2);
	int fd = raw != NULL ? open_file(err) : error_set(err, MP_E_INTERNAL, "no locked memory"), r = fd;
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || (r = check_file(fd, err)) != 0)
		goto out;
	while ((got = read(fd, secret_mutable(raw) + n, secret_len(raw) - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			r = error_set(err, MP_E_STORAGE, "cannot read the credential %s: %s",
			    CREDENTIAL_NAME, strerror(errno));
			goto out;
		}
		n += (size_t)got;
	}
	r = source_key(salt, secret_bytes(raw), n, "the credential " CREDENTIAL_NAME, kek, err);
out:
	if (fd >= 0)
		close(fd);
	secret_free(raw);
	return r;
}
