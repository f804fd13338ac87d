cimport cython

from roomcast.rooms.member cimport Member

@cython.locals(encodings=dict, member=Member, count=Py_ssize_t)
cpdef fan_out(event, tuple members)
