/* PEM (RFC 7468), strictly: one block, nothing around it but white space. Pure. */
#ifndef VERIFY_PEM_H
#define VERIFY_PEM_H

#include "base/error.h"
#include "base/str.h"

#define PEM_LABEL_MAX 64

/*
 * Decodes the one block in `text`: its label and its bytes. Lines of any length,
 * with or without carriage returns. ERROR_INVALID "BadKey" when there is no block,
 * more than one, text around it, or bad base64.
 */
int pem_read(struct span text, char label[PEM_LABEL_MAX], struct str *der, struct error *err);

#endif
