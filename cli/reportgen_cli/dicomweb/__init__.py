"""Take studies out of a DICOMweb archive, and store their reports in it."""
