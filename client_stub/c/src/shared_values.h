/* Values that many machines share. The same data as client_stub/trust/shared_values.py, which names the sources; a test
 * compares them. A '#' is one or more digits. */
#ifndef LSV_SHARED_VALUES_H
#define LSV_SHARED_VALUES_H

/* Whole values, in any part. */
static const char *const LSV_SHARED_VALUES[] = {
    "QM#",
    "DRIVE-IDE#",
    "DRIVE-IDE#-#-#",
    "DRIVE-SATA#",
    "DRIVE-SATA#-#-#",
    "DRIVE-SCSI#",
    "DRIVE-SCSI#-#-#-#",
    "DRIVE-VIRTIO#",
    "DRIVE-VIRTIO-DISK#",
    "PERSISTENT-DISK-#",
    "GOOGLE-PERSISTENT-DISK-#",
    "LOCAL-SSD-#",
    "NVME-LOCAL-SSD-#",
    "QEMU_HARDDISK_QM#",
    "TYPE# - BOARD SERIAL NUMBER",
    "TYPE# - BOARD ASSET TAG",
    "TYPE#BOARDSERIALNUMBER",
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE",
    "12345678-1234-5678-90AB-CDDEEFAABBCC",
    "6AB5B300-538D-1014-9FB5-B0684D007B53",
    "01010101-0101-0101-0101-010101010101",
    "SN-123456FVGV3I0B8O5N6N7K",
    "SERIAL NUMBER #",
    "BOARD SERIAL #",
    "ABC123",
    "A1B2C3D4",
};

/* Beginnings of MAC addresses that a product gives to every PC. */
static const char *const LSV_SHARED_MACS[] = {
    "00059A3C7",
    "005056C000",
    "0A0027",
    "0242AC",
    "02420A",
    "0242C0A8",
    "0A58",
    "525400123456",
    "525400123457",
    "525400123458",
    "001C420000",
    "00090FFE",
    "00090FAA",
    "025041",
    "02004C4F4F50",
    "0205857FEB80",
    "000BCAFE000",
    "545543445209",
    "20415359",
    "50505450",
    "33506F45",
    "44455354",
    "005345000000",
    "ACDE48001122",
    "0000000000E0",
    "02004E435049",
    "00A0C6000000",
    "028037EC0200",
    "24B620524153",
    "FEFFFFFFFFFF",
};

#endif
