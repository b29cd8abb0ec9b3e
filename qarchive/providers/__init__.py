"""SDK objects to plain values and back; no module here touches a disk or imports an SDK before it is used."""
