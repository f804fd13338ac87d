cimport cython

from roomcast.rooms.member cimport Member

@cython.locals(encodings=dict, member=Member)
cpdef fan_out(event, tuple members)
