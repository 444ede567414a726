"""licsrv: the license server for software sold through the Huawei Cloud marketplace."""
