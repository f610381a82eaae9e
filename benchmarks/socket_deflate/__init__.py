"""Whether permessage-deflate (RFC 7692) pays for the frames of chat."""
