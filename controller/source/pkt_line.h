/*
 * Git's pkt-line framing (gitprotocol-common(5)): four hex digits of length,
 * themselves included, then the payload; lengths 0, 1 and 2 are marks.
 */
#ifndef SOURCE_PKT_LINE_H
#define SOURCE_PKT_LINE_H

#include "base/error.h"
#include "base/str.h"

#define PKT_PAYLOAD_MAX 65516u

enum pkt_kind { PKT_DATA, PKT_FLUSH, PKT_DELIM, PKT_RESPONSE_END, PKT_NONE };

/*
 * Takes the next one off the front of *rest; *payload (PKT_DATA only) is
 * borrowed and has no line end. PKT_NONE: nothing is left. ERROR_TRANSIENT
 * "BadProtocol" for a cut or impossible frame.
 */
int pkt_next(struct span *rest, enum pkt_kind *kind, struct span *payload, struct error *err);

/* Appends; the payload must not be longer than PKT_PAYLOAD_MAX. */
void pkt_add(struct str *out, struct span payload);
void pkt_addf(struct str *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pkt_add_flush(struct str *out);
void pkt_add_delim(struct str *out);

#endif
